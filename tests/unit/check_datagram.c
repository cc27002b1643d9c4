/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the datagram service: who is answered, how often, and how it is sent.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "engine/datagram/batch.h"
#include "engine/datagram/broadcasts.h"
#include "engine/datagram/drops.h"
#include "engine/datagram/guard.h"
#include "engine/listen_socket.h"
#include "suite.h"

/* The key of the paper's test vectors: the bytes 0 to 15. */
static const struct siphash_key counting = { { UINT64_C(0x0706050403020100),
    UINT64_C(0x0f0e0d0c0b0a0908) } };

START_TEST(siphash_is_that_of_the_paper)
{
	unsigned char input[15];

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
	ck_assert_uint_eq(siphash(&counting, input, 0), UINT64_C(0x726fdb47dd0e0e31));
	ck_assert_uint_eq(siphash(&counting, input, 15), UINT64_C(0xa129ca6149be45e5));
}
END_TEST

START_TEST(siphash_keys_differ)
{
	struct siphash_key a, b;

	ck_assert_int_eq(siphash_make_key(&a), 0);
	ck_assert_int_eq(siphash_make_key(&b), 0);
	ck_assert_uint_ne(siphash(&a, "x", 1), siphash(&b, "x", 1));
}
END_TEST

START_TEST(bucket_gives_its_burst_then_its_rate)
{
	struct token_bucket bucket = { 0 };
	int64_t now = 1000 * NS_PER_S;

	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 3, now), 3);
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 3, now), 2);
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 1, now), 0);
	now += 99 * NS_PER_MS;
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 1, now), 0);
	now += NS_PER_MS;
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 1, now), 1);
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 1, now), 0);
	/* it never holds more than its burst */
	now += 100 * NS_PER_S;
	ck_assert_uint_eq(token_bucket_take(&bucket, 10, 5, 100, now), 5);
}
END_TEST

START_TEST(bucket_without_a_rate_has_no_limit)
{
	struct token_bucket bucket = { 0 };

	ck_assert_uint_eq(token_bucket_take(&bucket, 0, 1, 1000000, 5), 1000000);
}
END_TEST

START_TEST(bucket_holds_at_its_extremes)
{
	struct token_bucket slow = { 0 }, fast = { 0 };
	int64_t now = NS_PER_S;

	ck_assert_uint_eq(token_bucket_take(&slow, 1, 10000000, 20000000, now), 10000000);
	ck_assert_uint_eq(token_bucket_take(&slow, 1, 1, 1, now), 0);
	ck_assert_uint_eq(token_bucket_take(&fast, 100000000, 100000000, 1, now), 1);
}
END_TEST

static struct in6_addr
in6(const char *text)
{
	struct in6_addr address;

	ck_assert_int_eq(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

START_TEST(source_is_an_address_or_a_slash_64)
{
	struct sources *table = sources_new();
	struct in6_addr a = in6("2001:db8::1"), b = in6("2001:db8::ffff"),
			c = in6("2001:db8:0:1::1");
	struct in6_addr d = in6("::ffff:192.0.2.1"), e = in6("::ffff:192.0.2.2");

	ck_assert_ptr_nonnull(table);
	ck_assert_ptr_eq(sources_get(table, &a, 1), sources_get(table, &b, 2));
	ck_assert_ptr_ne(sources_get(table, &a, 3), sources_get(table, &c, 3));
	ck_assert_ptr_ne(sources_get(table, &d, 4), sources_get(table, &e, 4));
	free(table);
}
END_TEST

START_TEST(source_table_forgets_the_longest_silent)
{
	struct sources *table = sources_new();
	const struct source *source = NULL;
	size_t count = 0;
	struct in6_addr busy = in6("::ffff:192.0.2.1"), other = in6("::ffff:10.0.0.0");
	int64_t now = 1;

	ck_assert_ptr_nonnull(table);
	sources_get(table, &busy, now)->echoed = 7;
	for (uint32_t i = 1; i <= 100000; i++) {
		uint32_t host = htonl(0x0a000000 + i);

		memcpy(&other.s6_addr[12], &host, sizeof(host));
		(void)sources_get(table, &other, ++now);
		/* whoever keeps sending keeps its place, however many others do */
		ck_assert_uint_eq(sources_get(table, &busy, ++now)->echoed, 7);
	}
	while ((source = sources_next(table, source)) != NULL)
		count++;
	ck_assert_uint_eq(count, SOURCES_MAX);
	free(table);
}
END_TEST

static struct address own[2];
static const struct guard plain = { .min_source_port = 1024, .own = own, .own_count = 2 };

static enum datagram_drop
judge4(const struct guard *guard, const char *host, in_port_t port, const char *asked,
    const char *local)
{
	struct sockaddr_in source = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct datagram_local to = { .family = AF_INET };
	struct in6_addr ignored;

	ck_assert_int_eq(inet_pton(AF_INET, host, &source.sin_addr), 1);
	ck_assert_int_eq(inet_pton(AF_INET, asked, &to.u.in.ipi_addr), 1);
	ck_assert_int_eq(inet_pton(AF_INET, local, &to.u.in.ipi_spec_dst), 1);
	return guard_judge(guard, (struct sockaddr *)&source, &to, &ignored);
}

static enum datagram_drop
judge6(const struct guard *guard, const char *host, in_port_t port, const char *asked)
{
	struct sockaddr_in6 source = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6(host)
	};
	struct datagram_local to = { .family = AF_INET6, .u.in6.ipi6_addr = in6(asked) };
	struct in6_addr ignored;

	return guard_judge(guard, (struct sockaddr *)&source, &to, &ignored);
}

static void
setup_own(void)
{
	const char *error;

	ck_assert_int_eq(address_parse("udp://192.0.2.9:9", &own[0], &error), 0);
	ck_assert_int_eq(address_parse("udp://[2001:db8::9]:7007", &own[1], &error), 0);
}

START_TEST(every_port_is_judged)
{
	static const in_port_t reflectors[] = { 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389,
		520, 1900, 3702, 5353, 11211 };
	struct guard open = plain;

	open.min_source_port = 0;
	for (unsigned port = 0; port <= 65535; port++) {
		enum datagram_drop expected = DATAGRAM_PASS;

		for (size_t i = 0; i < ARRAY_SIZE(reflectors); i++)
			expected = port == reflectors[i] ? DATAGRAM_REFLECTOR_PORT : expected;
		if (port == 9 || port == 7007)
			expected = DATAGRAM_OWN_PORT;
		if (port == 0)
			expected = DATAGRAM_SOURCE_PORT;
		ck_assert_int_eq(
		    judge4(&open, "192.0.2.1", (in_port_t)port, "192.0.2.9", "192.0.2.9"),
		    expected);
		if (port < 1024)
			expected = DATAGRAM_SOURCE_PORT;
		ck_assert_int_eq(
		    judge6(&plain, "2001:db8::1", (in_port_t)port, "2001:db8::9"), expected);
	}
}
END_TEST

START_TEST(ipv4_sources_at_the_borders)
{
	static const struct {
		const char *host;
		enum datagram_drop drop;
	} rows[] = {
		{ "0.0.0.0", DATAGRAM_SOURCE_UNSPECIFIED },
		{ "0.255.255.255", DATAGRAM_SOURCE_UNSPECIFIED },
		{ "1.0.0.0", DATAGRAM_PASS },
		{ "127.0.0.1", DATAGRAM_PASS },
		{ "223.255.255.255", DATAGRAM_PASS },
		{ "224.0.0.0", DATAGRAM_SOURCE_MULTICAST },
		{ "239.255.255.255", DATAGRAM_SOURCE_MULTICAST },
		{ "240.0.0.0", DATAGRAM_PASS },
		{ "255.255.255.254", DATAGRAM_PASS },
		{ "255.255.255.255", DATAGRAM_SOURCE_BROADCAST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(
		    judge4(&plain, rows[i].host, 5000, "192.0.2.9", "192.0.2.9") == rows[i].drop,
		    "%s", rows[i].host);
}
END_TEST

START_TEST(ipv6_sources_at_the_borders)
{
	static const struct {
		const char *host;
		enum datagram_drop drop;
	} rows[] = {
		{ "::", DATAGRAM_SOURCE_UNSPECIFIED },
		{ "::1", DATAGRAM_PASS },
		{ "::fffe:ffff:ffff", DATAGRAM_PASS },
		{ "::ffff:0:0", DATAGRAM_SOURCE_MAPPED },
		{ "::ffff:255.255.255.255", DATAGRAM_SOURCE_MAPPED },
		{ "::1:0:0:0", DATAGRAM_PASS },
		{ "fe80::1", DATAGRAM_PASS },
		{ "feff:ffff::", DATAGRAM_PASS },
		{ "ff00::", DATAGRAM_SOURCE_MULTICAST },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", DATAGRAM_SOURCE_MULTICAST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(judge6(&plain, rows[i].host, 5000, "2001:db8::9") == rows[i].drop,
		    "%s", rows[i].host);
}
END_TEST

START_TEST(ipv4_on_a_dual_stack_socket_is_ipv4)
{
	struct sockaddr_in6 source = { .sin6_family = AF_INET6,
		.sin6_port = htons(5000),
		.sin6_addr = in6("::ffff:224.0.0.1") };
	struct datagram_local to = { .family = AF_INET };
	struct in6_addr found;

	to.u.in.ipi_addr.s_addr = to.u.in.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(guard_judge(&plain, (struct sockaddr *)&source, &to, &found),
	    DATAGRAM_SOURCE_MULTICAST);
	source.sin6_addr = in6("::ffff:192.0.2.1");
	ck_assert_int_eq(
	    guard_judge(&plain, (struct sockaddr *)&source, &to, &found), DATAGRAM_PASS);
	ck_assert_mem_eq(&found, &source.sin6_addr, sizeof(found));
}
END_TEST

START_TEST(destination_is_ours_alone)
{
	struct sockaddr_in source = { .sin_family = AF_INET, .sin_port = htons(5000) };
	struct datagram_local unknown = { .family = AF_UNSPEC };
	struct in6_addr ignored;

	ck_assert_int_eq(
	    judge4(&plain, "192.0.2.1", 5000, "192.0.2.255", "192.0.2.9"), DATAGRAM_DESTINATION);
	ck_assert_int_eq(
	    judge4(&plain, "192.0.2.1", 5000, "224.0.0.1", "192.0.2.9"), DATAGRAM_DESTINATION);
	ck_assert_int_eq(judge6(&plain, "2001:db8::1", 5000, "ff02::1"), DATAGRAM_DESTINATION);
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(guard_judge(&plain, (struct sockaddr *)&source, &unknown, &ignored),
	    DATAGRAM_DESTINATION);
}
END_TEST

START_TEST(deny_comes_before_allow)
{
	struct network deny, allow[2];
	struct guard guard = plain;
	const char *error;

	ck_assert_int_eq(network_parse("192.0.2.128/25", &deny, &error), 0);
	ck_assert_int_eq(network_parse("192.0.2.0/24", &allow[0], &error), 0);
	ck_assert_int_eq(network_parse("2001:db8::/32", &allow[1], &error), 0);
	guard.deny = &deny;
	guard.deny_count = 1;
	ck_assert_int_eq(
	    judge4(&guard, "198.51.100.1", 5000, "192.0.2.9", "192.0.2.9"), DATAGRAM_PASS);
	guard.allow = allow;
	guard.allow_count = 2;
	ck_assert_int_eq(
	    judge4(&guard, "192.0.2.127", 5000, "192.0.2.9", "192.0.2.9"), DATAGRAM_PASS);
	ck_assert_int_eq(
	    judge4(&guard, "192.0.2.128", 5000, "192.0.2.9", "192.0.2.9"), DATAGRAM_DENIED);
	ck_assert_int_eq(
	    judge4(&guard, "198.51.100.1", 5000, "192.0.2.9", "192.0.2.9"), DATAGRAM_NOT_ALLOWED);
	ck_assert_int_eq(judge6(&guard, "2001:db8::1", 5000, "2001:db8::9"), DATAGRAM_PASS);
	ck_assert_int_eq(judge6(&guard, "2001:db9::1", 5000, "2001:db8::9"), DATAGRAM_NOT_ALLOWED);
}
END_TEST

static int
get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
	return value;
}

/* Bind to HOST, prepare and pin. Returns the family that it is pinned in. */
static sa_family_t
pin(const char *host)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool v4 = inet_pton(AF_INET, host, &in.sin_addr) == 1;
	struct datagram_local local;
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert(v4 || inet_pton(AF_INET6, host, &in6.sin6_addr) == 1);
	ck_assert_int_eq(bind(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
			     v4 ? sizeof(in) : sizeof(in6)),
	    0);
	ck_assert_int_eq(listen_socket_prepare_datagrams(fd, v4 ? AF_INET : AF_INET6), 0);
	local = batch_pin_socket(fd);
	/* the kernel tells where a datagram went to, or nobody need ask */
	ck_assert_int_eq(get_option(fd, IPPROTO_IP, IP_PKTINFO), local.family == AF_UNSPEC);
	if (!v4)
		ck_assert_int_eq(
		    get_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), local.family == AF_UNSPEC);
	if (local.family == AF_INET) {
		ck_assert_uint_eq(local.u.in.ipi_addr.s_addr, in.sin_addr.s_addr);
		ck_assert_uint_eq(local.u.in.ipi_spec_dst.s_addr, in.sin_addr.s_addr);
	} else if (local.family == AF_INET6) {
		ck_assert(IN6_ARE_ADDR_EQUAL(&local.u.in6.ipi6_addr, &in6.sin6_addr));
	}
	close(fd);
	return local.family;
}

START_TEST(socket_that_hears_for_others_is_not_pinned)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	/* it takes CAP_NET_ADMIN */
	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0) {
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		ck_assert_int_eq(listen_socket_prepare_datagrams(fd, AF_INET), 0);
		ck_assert_int_eq(batch_pin_socket(fd).family, AF_UNSPEC);
		ck_assert_int_eq(get_option(fd, IPPROTO_IP, IP_PKTINFO), 1);
	}
	close(fd);
}
END_TEST

START_TEST(socket_of_one_address_is_pinned)
{
	ck_assert_int_eq(pin("127.0.0.1"), AF_INET);
	ck_assert_int_eq(pin("127.9.8.7"), AF_INET);
	ck_assert_int_eq(pin("::1"), AF_INET6);
	/* of many, or of no single host: each datagram has to tell */
	ck_assert_int_eq(pin("0.0.0.0"), AF_UNSPEC);
	ck_assert_int_eq(pin("127.255.255.255"), AF_UNSPEC);
	ck_assert_int_eq(pin("224.0.0.1"), AF_UNSPEC);
	ck_assert_int_eq(pin("::"), AF_UNSPEC);
	ck_assert_int_eq(pin("::ffff:127.0.0.1"), AF_UNSPEC);
	ck_assert_int_eq(pin("ff0e::1"), AF_UNSPEC);
}
END_TEST

/* What was counted. */
static struct counters counters;

static uint64_t
counted(enum counter counter)
{
	return atomic_load(&counters.cells[counter]);
}

/* A server and two clients on loopback. */
static struct batch *batch;
static struct sockaddr_in server_address;
static int server, client, second;

static int
open_socket(in_addr_t host)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void
open_batch(bool pin)
{
	socklen_t length = sizeof(server_address);

	memset(&counters, 0, sizeof(counters));
	/* a socket of any address cannot be pinned */
	server = open_socket(pin ? INADDR_LOOPBACK : INADDR_ANY);
	ck_assert_int_eq(listen_socket_prepare_datagrams(server, AF_INET), 0);
	batch = batch_new(server, true);
	ck_assert_ptr_nonnull(batch);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&server_address, &length), 0);
	server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = open_socket(INADDR_LOOPBACK);
	second = open_socket(INADDR_LOOPBACK);
	ck_assert_int_eq(
	    connect(client, (struct sockaddr *)&server_address, sizeof(server_address)), 0);
	ck_assert_int_eq(
	    connect(second, (struct sockaddr *)&server_address, sizeof(server_address)), 0);
}

static void
setup_batch(void)
{
	open_batch(false);
}

static void
setup_pinned_batch(void)
{
	open_batch(true);
}

static void
teardown_batch(void)
{
	free(batch);
	close(server);
	close(client);
	close(second);
}

static void
send_filled(int fd, size_t length, int fill)
{
	static unsigned char bytes[65507];

	memset(bytes, fill, length);
	ck_assert_int_eq(send(fd, bytes, length, 0), (ssize_t)length);
}

static void
expect_filled(int fd, size_t length, int fill)
{
	static unsigned char bytes[65536];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	ck_assert_int_eq(n, (ssize_t)length);
	for (size_t i = 0; i < length; i++)
		ck_assert_uint_eq(bytes[i], (unsigned char)fill);
}

/* Read all that waits; loopback delivers before send(2) returns. */
static struct received *
receive(int expected)
{
	struct received *received;

	ck_assert_int_eq(batch_receive(batch, &received), expected);
	return received;
}

static void
echo_all(void)
{
	struct received *received;
	int count = batch_receive(batch, &received);

	for (int i = 0; i < count; i++)
		batch_add(batch, &received[i], received_count(&received[i]));
	batch_flush(batch, &counters, &(struct broadcasts){ 0 });
}

START_TEST(batch_echoes_all_sizes_in_order)
{
	static const size_t sizes[] = { 100, 100, 100, 60, 100, 0, 0, 200, 200, 65507, 1, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		send_filled(client, sizes[i], (int)i + 1);
	echo_all();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_filled(client, sizes[i], (int)i + 1);
	ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_SENT), ARRAY_SIZE(sizes));
	for (int i = COUNTER_DROPPED_SOURCE_PORT; i <= COUNTER_DROPPED_SEND_ERROR; i++)
		ck_assert_uint_eq(counted((enum counter)i), 0);
}
END_TEST

START_TEST(batch_tells_where_datagrams_went_to)
{
	const struct datagram_local *local;

	send_filled(client, 5, 'x');
	local = &receive(1)->local;
	ck_assert_int_eq(local->family, AF_INET);
	ck_assert_uint_eq(local->u.in.ipi_addr.s_addr, server_address.sin_addr.s_addr);
	ck_assert_uint_eq(local->u.in.ipi_spec_dst.s_addr, server_address.sin_addr.s_addr);
}
END_TEST

START_TEST(batch_keeps_sources_apart)
{
	for (int i = 0; i < 8; i++) {
		send_filled(client, 64, i);
		send_filled(second, 64, 100 + i);
	}
	echo_all();
	for (int i = 0; i < 8; i++) {
		expect_filled(client, 64, i);
		expect_filled(second, 64, 100 + i);
	}
	ck_assert_uint_eq(counted(COUNTER_SENT_BYTES), 16 * 64);
}
END_TEST

START_TEST(batch_takes_a_coalesced_burst)
{
	unsigned char bytes[10 * 120 + 50];
	uint16_t segment = 120;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i / segment);
	ck_assert_int_eq(
	    setsockopt(client, IPPROTO_UDP, UDP_SEGMENT, &(int){ segment }, sizeof(int)), 0);
	ck_assert_int_eq(send(client, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	echo_all();
	for (int i = 0; i < 10; i++)
		expect_filled(client, segment, i);
	expect_filled(client, 50, 10);
	ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_SENT), 11);
}
END_TEST

START_TEST(batch_passes_the_first_of_a_burst)
{
	unsigned char bytes[400] = { 0 };
	struct received *received;

	ck_assert_int_eq(
	    setsockopt(client, IPPROTO_UDP, UDP_SEGMENT, &(int){ 100 }, sizeof(int)), 0);
	ck_assert_int_eq(send(client, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	received = receive(1);
	ck_assert_uint_eq(received_count(received), 4);
	batch_add(batch, received, 3);
	batch_flush(batch, &counters, &(struct broadcasts){ 0 });
	ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_SENT), 3);
	ck_assert_uint_eq(counted(COUNTER_SENT_BYTES), 300);
}
END_TEST

START_TEST(batch_joins_no_more_than_one_send_carries)
{
	for (int i = 0; i < 4; i++)
		send_filled(client, 40000, i);
	echo_all();
	for (int i = 0; i < 4; i++)
		expect_filled(client, 40000, i);
	ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_SENT), 4);
}
END_TEST

static void
add_batch_tests(TCase *tests)
{
	tcase_add_test(tests, batch_echoes_all_sizes_in_order);
	tcase_add_test(tests, batch_tells_where_datagrams_went_to);
	tcase_add_test(tests, batch_keeps_sources_apart);
	tcase_add_test(tests, batch_takes_a_coalesced_burst);
	tcase_add_test(tests, batch_passes_the_first_of_a_burst);
	tcase_add_test(tests, batch_joins_no_more_than_one_send_carries);
}

/* Look every two seconds from *NOW on, for SECONDS, while COUNT of REASON are dropped in each. */
static int
look_for(struct drops *drops, struct counters_sum *counted, int64_t *now, int seconds,
    enum datagram_drop reason, uint64_t count)
{
	int lines = 0;

	for (int i = 0; i < seconds; i += 2) {
		counted->values[reason] += 2 * count;
		*now += 2 * NS_PER_S;
		lines += drops_look(drops, "u", counted, *now);
	}
	return lines;
}

START_TEST(drops_are_told_soon_then_once_a_minute)
{
	struct counters_sum counted = { .values = { 0 } };
	struct drops drops = { 0 };
	int64_t now = 1000 * NS_PER_S;

	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_SOURCE_RATE, 0), 0);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 8, DATAGRAM_SOURCE_RATE, 100), 1);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 50, DATAGRAM_SOURCE_RATE, 100), 0);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_SOURCE_RATE, 100), 10);
	/* what came since the last line, and then silence */
	ck_assert_int_le(look_for(&drops, &counted, &now, 600, DATAGRAM_SOURCE_RATE, 0), 1);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_SOURCE_RATE, 0), 0);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 8, DATAGRAM_SEND_FULL, 100), 1);
}
END_TEST

START_TEST(short_floods_are_no_more_than_a_line_a_minute)
{
	struct counters_sum counted = { .values = { 0 } };
	struct drops drops = { 0 };
	int64_t now = 1000 * NS_PER_S;
	int lines = 0;

	for (int i = 0; i < 100; i++) {
		lines += look_for(&drops, &counted, &now, 2, DATAGRAM_TOTAL_RATE, 1000);
		lines += look_for(&drops, &counted, &now, 4, DATAGRAM_TOTAL_RATE, 0);
	}
	ck_assert_int_ge(lines, 9);
	ck_assert_int_le(lines, 10);
}
END_TEST

START_TEST(ordinary_drops_and_strays_are_not_told)
{
	struct counters_sum counted = { .values = { 0 } };
	struct drops drops = { 0 };
	int64_t now = 1000 * NS_PER_S;

	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_DENIED, 1000), 0);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_NOT_ALLOWED, 1000), 0);
	ck_assert_int_eq(look_for(&drops, &counted, &now, 600, DATAGRAM_DESTINATION, 1000), 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(look_for(&drops, &counted, &now, 2, DATAGRAM_SOURCE_PORT, 1), 0);
		ck_assert_int_eq(look_for(&drops, &counted, &now, 58, DATAGRAM_SOURCE_PORT, 0), 0);
	}
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("datagram");
	TCase *tests = tcase_create("parts"), *batches = tcase_create("batch");
	TCase *pinned = tcase_create("pinned batch");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup_own, NULL);
	tcase_add_test(tests, siphash_is_that_of_the_paper);
	tcase_add_test(tests, siphash_keys_differ);
	tcase_add_test(tests, bucket_gives_its_burst_then_its_rate);
	tcase_add_test(tests, bucket_without_a_rate_has_no_limit);
	tcase_add_test(tests, bucket_holds_at_its_extremes);
	tcase_add_test(tests, source_is_an_address_or_a_slash_64);
	tcase_add_test(tests, source_table_forgets_the_longest_silent);
	tcase_add_test(tests, every_port_is_judged);
	tcase_add_test(tests, ipv4_sources_at_the_borders);
	tcase_add_test(tests, ipv6_sources_at_the_borders);
	tcase_add_test(tests, ipv4_on_a_dual_stack_socket_is_ipv4);
	tcase_add_test(tests, destination_is_ours_alone);
	tcase_add_test(tests, drops_are_told_soon_then_once_a_minute);
	tcase_add_test(tests, short_floods_are_no_more_than_a_line_a_minute);
	tcase_add_test(tests, ordinary_drops_and_strays_are_not_told);
	tcase_add_test(tests, deny_comes_before_allow);
	tcase_add_test(tests, socket_of_one_address_is_pinned);
	tcase_add_test(tests, socket_that_hears_for_others_is_not_pinned);

	suite_add_tcase(suite, batches);
	tcase_add_checked_fixture(batches, setup_batch, teardown_batch);
	add_batch_tests(batches);
	suite_add_tcase(suite, pinned);
	tcase_add_checked_fixture(pinned, setup_pinned_batch, teardown_batch);
	add_batch_tests(pinned);
	return suite;
}
