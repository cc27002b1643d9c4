# SPDX-License-Identifier: BSD-2-Clause
# Probing of single compiler and linker flags.

# ECHOD_TRY_FLAGS(FLAGS, IF-YES, [IF-NO], [PROGRAM])
# ---------------------------------------------------
# Try to compile and link PROGRAM (an empty main by default) with FLAGS added to
# the compiler's and the linker's command line. -Werror turns a flag that clang
# only warns about into a refusal.
AC_DEFUN([ECHOD_TRY_FLAGS], [
  AS_VAR_PUSHDEF([cache], [echod_cv_flags_$1])
  AC_CACHE_CHECK([whether $CC accepts $1], [cache], [
    echod_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([m4_default([$4], [AC_LANG_PROGRAM([], [])])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$echod_saved_cflags
  ])
  AS_VAR_IF([cache], [yes], [$2], [$3])
  AS_VAR_POPDEF([cache])
])

# ECHOD_ADD_FLAGS(VARIABLE, FLAG...)
# ----------------------------------
# Append to VARIABLE each of the FLAGs (a blank separated list) that works.
AC_DEFUN([ECHOD_ADD_FLAGS], [m4_map_args_w([$2], [_ECHOD_ADD_FLAG([$1], ], [)])])

# _ECHOD_ADD_FLAG(VARIABLE, FLAG)
# -------------------------------
AC_DEFUN([_ECHOD_ADD_FLAG], [
  ECHOD_TRY_FLAGS([$2], [AS_VAR_APPEND([$1], [" $2"])])
])

# ECHOD_TRY_FORTIFY(IF-YES)
# -------------------------
# _FORTIFY_SOURCE does nothing without optimisation, hides errors from the
# sanitizers, and may already be set by the packager.
AC_DEFUN([ECHOD_TRY_FORTIFY], [
  AC_CACHE_CHECK([whether to set _FORTIFY_SOURCE], [echod_cv_fortify], [
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#ifndef __OPTIMIZE__
#error no optimisation
#endif
#ifdef _FORTIFY_SOURCE
#error already set
#endif
]], [])], [echod_cv_fortify=yes], [echod_cv_fortify=no])
  ])
  AS_VAR_IF([echod_cv_fortify], [yes], [$1])
])
