/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoping's payload, and the window that knows which datagrams are out.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "echoping/payload.h"
#include "echoping/window.h"
#include "suite.h"

#define SIZE 256

static struct echoping_payload *payload;
static struct echoping_window window;
static unsigned char data[SIZE + 1];

static void
start(void)
{
	payload = echoping_payload_new();
	ck_assert_ptr_nonnull(payload);
	ck_assert_int_eq(echoping_window_init(&window, 1), 0);
}

static void
end(void)
{
	echoping_payload_free(payload);
	echoping_window_done(&window);
}

START_TEST(the_stream_lies_in_one_piece_at_any_place)
{
	static const uint64_t addresses[] = { 0, 1, ECHOPING_PAYLOAD_PERIOD - 1,
		ECHOPING_PAYLOAD_PERIOD, UINT64_C(1) << 60 };

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		const unsigned char *piece = echoping_payload_at(payload, addresses[i]);
		size_t byte = 0;

		/* one check for all: each costs a system call */
		while (byte < ECHOPING_PAYLOAD_PIECE &&
		       piece[byte] == *echoping_payload_at(payload, addresses[i] + byte))
			byte++;
		ck_assert_uint_eq(byte, ECHOPING_PAYLOAD_PIECE);
	}
}
END_TEST

START_TEST(equal_bytes_match)
{
	memcpy(data, echoping_payload_at(payload, 77777), SIZE);
	ck_assert_uint_eq(echoping_payload_match(payload, 77777, data, SIZE), SIZE);
	ck_assert_uint_eq(echoping_payload_match(payload, 77777, data, 0), 0);
}
END_TEST

START_TEST(each_changed_bit_is_found_where_it_is)
{
	for (size_t bit = 0; bit < SIZE * 8; bit++) {
		memcpy(data, echoping_payload_at(payload, 5), SIZE);
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		ck_assert_uint_eq(echoping_payload_match(payload, 5, data, SIZE), bit / 8);
	}
}
END_TEST

/* Lost, doubled and swapped blocks of any length within a message. */
START_TEST(moved_bytes_do_not_match)
{
	const unsigned char *stream = echoping_payload_at(payload, 1000);

	for (size_t length = 1; length < SIZE / 2; length++) {
		memcpy(data, stream, SIZE / 2);
		memcpy(data + SIZE / 2, stream + SIZE / 2 + length, SIZE / 2);
		ck_assert_uint_lt(echoping_payload_match(payload, 1000, data, SIZE), SIZE);
		memcpy(data + SIZE / 2, stream + SIZE / 2 - length, SIZE / 2);
		ck_assert_uint_lt(echoping_payload_match(payload, 1000, data, SIZE), SIZE);
		memcpy(data, stream, SIZE);
		memcpy(data, stream + length, length);
		memcpy(data + length, stream, length);
		ck_assert_uint_lt(echoping_payload_match(payload, 1000, data, SIZE), SIZE);
	}
}
END_TEST

START_TEST(connections_send_different_bytes)
{
	for (uint32_t number = 1; number < 1000; number++)
		ck_assert_uint_lt(
		    echoping_payload_match(payload, echoping_payload_origin(0),
			echoping_payload_at(payload, echoping_payload_origin(number)), SIZE),
		    SIZE);
}
END_TEST

#define STAMP_NS INT64_C(1000000000000000000)

static void
make_datagram(uint32_t number, uint64_t sequence, int64_t stamp_ns, size_t size)
{
	struct iovec parts[2];
	union echoping_head head;

	echoping_payload_compose(payload, number, sequence, stamp_ns, size, &head, parts);
	ck_assert_uint_eq(parts[0].iov_len + parts[1].iov_len, size);
	memcpy(data, parts[0].iov_base, parts[0].iov_len);
	memcpy(data + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
}

START_TEST(datagrams_tell_their_number)
{
	static const uint64_t sequences[] = { 0, 1, 1000000, (UINT64_C(1) << 40) - 1 };

	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		for (size_t size = ECHOPING_DATAGRAM_MIN; size <= SIZE; size++) {
			uint64_t sequence = 0;

			make_datagram(3, sequences[i], 0, size);
			ck_assert_int_eq(
			    echoping_payload_open(payload, 3, data, size, false, size, &sequence),
			    0);
			ck_assert_uint_eq(sequence, sequences[i]);
			if (size < ECHOPING_STAMP_SIZE)
				continue;
			make_datagram(3, sequences[i], STAMP_NS, size);
			ck_assert_int_eq(
			    echoping_payload_open(payload, 3, data, size, true, size, &sequence),
			    0);
			ck_assert_uint_eq(sequence, sequences[i]);
		}
	}
}
END_TEST

/* What echoping(1) documents. */
START_TEST(a_stamp_can_be_read_by_others)
{
	static const unsigned char expected[24] = { 'E', 'P', 'N', 'G', 0, 0, 0, 3, 0, 0, 0, 0, 0,
		0, 1, 2, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 0 };

	make_datagram(3, 258, STAMP_NS, 64);
	ck_assert_mem_eq(data, expected, sizeof(expected));
}
END_TEST

START_TEST(each_changed_bit_of_a_datagram_is_found)
{
	for (size_t bit = 0; bit < 2 * 64 * 8; bit++) {
		const bool stamped = bit % 2 == 1;
		uint64_t sequence = 7;

		make_datagram(3, 9, stamped ? STAMP_NS : 0, 64);
		data[bit / 16] ^= (unsigned char)(1u << bit / 2 % 8);
		ck_assert_int_eq(
		    echoping_payload_open(payload, 3, data, 64, stamped, 64, &sequence), -EBADMSG);
		ck_assert_uint_eq(sequence, 7);
	}
}
END_TEST

START_TEST(foreign_cut_and_grown_datagrams_are_found)
{
	uint64_t sequence;

	make_datagram(3, 9, 0, 64);
	ck_assert_int_eq(
	    echoping_payload_open(payload, 4, data, 64, false, 64, &sequence), -EBADMSG);
	ck_assert_int_eq(
	    echoping_payload_open(payload, 3, data, 63, false, 64, &sequence), -EBADMSG);
	ck_assert_int_eq(
	    echoping_payload_open(payload, 3, data, 65, false, 64, &sequence), -EBADMSG);
	ck_assert_int_eq(
	    echoping_payload_open(payload, 3, data, 0, false, 64, &sequence), -EBADMSG);
}
END_TEST

START_TEST(an_echo_is_matched_once)
{
	int64_t start_ns = 0;

	ck_assert_uint_eq(echoping_window_add(&window, 11, 12), 0);
	ck_assert_uint_eq(echoping_window_add(&window, 21, 22), 1);
	ck_assert_uint_eq(window.outstanding, 2);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_MATCHED);
	ck_assert_int_eq(start_ns, 11);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_DUPLICATE);
	ck_assert_int_eq(echoping_window_receive(&window, 2, &start_ns), ECHOPING_UNKNOWN);
	ck_assert_uint_eq(window.outstanding, 1);
	ck_assert_uint_eq(window.duplicates, 1);
	ck_assert_uint_eq(window.reordered, 0);
}
END_TEST

START_TEST(order_is_counted)
{
	int64_t start_ns;

	for (int i = 0; i < 3; i++)
		(void)echoping_window_add(&window, i, i);
	ck_assert_int_eq(echoping_window_receive(&window, 2, &start_ns), ECHOPING_MATCHED);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_MATCHED);
	ck_assert_int_eq(echoping_window_receive(&window, 1, &start_ns), ECHOPING_MATCHED);
	ck_assert_uint_eq(window.reordered, 2);
	ck_assert_uint_eq(window.outstanding, 0);
}
END_TEST

START_TEST(what_is_given_up_is_late_when_it_comes)
{
	int64_t start_ns;

	for (int i = 0; i < 4; i++)
		(void)echoping_window_add(&window, i, i);
	ck_assert_int_eq(echoping_window_receive(&window, 1, &start_ns), ECHOPING_MATCHED);
	echoping_window_expire(&window, 3);
	ck_assert_uint_eq(window.lost, 2);
	ck_assert_uint_eq(window.outstanding, 1);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_LATE);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_DUPLICATE);
	ck_assert_int_eq(echoping_window_receive(&window, 3, &start_ns), ECHOPING_MATCHED);
	ck_assert_uint_eq(window.late, 1);
	ck_assert_uint_eq(window.lost, 2);
}
END_TEST

START_TEST(a_window_that_is_full_gives_up_its_oldest)
{
	const uint64_t capacity = window.mask + 1;
	int64_t start_ns;

	for (uint64_t i = 0; i < capacity; i++)
		(void)echoping_window_add(&window, 0, 0);
	for (uint64_t i = 1; i < capacity; i++)
		ck_assert_int_eq(echoping_window_receive(&window, i, &start_ns), ECHOPING_MATCHED);
	ck_assert_uint_eq(window.lost, 0);
	(void)echoping_window_add(&window, 0, 0);
	ck_assert_uint_eq(window.lost, 1);
	ck_assert_uint_eq(window.outstanding, 1);
	ck_assert_int_eq(echoping_window_receive(&window, 0, &start_ns), ECHOPING_LATE);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoping_payload");
	TCase *tests = tcase_create("echoping_payload");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, end);
	tcase_add_test(tests, the_stream_lies_in_one_piece_at_any_place);
	tcase_add_test(tests, equal_bytes_match);
	tcase_add_test(tests, each_changed_bit_is_found_where_it_is);
	tcase_add_test(tests, moved_bytes_do_not_match);
	tcase_add_test(tests, connections_send_different_bytes);
	tcase_add_test(tests, datagrams_tell_their_number);
	tcase_add_test(tests, a_stamp_can_be_read_by_others);
	tcase_add_test(tests, each_changed_bit_of_a_datagram_is_found);
	tcase_add_test(tests, foreign_cut_and_grown_datagrams_are_found);
	tcase_add_test(tests, an_echo_is_matched_once);
	tcase_add_test(tests, order_is_counted);
	tcase_add_test(tests, what_is_given_up_is_late_when_it_comes);
	tcase_add_test(tests, a_window_that_is_full_gives_up_its_oldest);
	return suite;
}
