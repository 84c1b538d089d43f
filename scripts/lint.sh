#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Style and static checks of the whole tree. Each check prints what it found; the exit status is 1
# when any found something.
#
#   scripts/lint.sh BUILD-FOLDER [CHECK...]
#   scripts/lint.sh BUILD-FOLDER reformat     rewrite C files in their style instead of complaining
# shellcheck disable=SC2317 # the checks are called by their names
set -u

CHECKS='format warnings neon static_analysis tidy kernel kernel_doc checkpatch coccinelle shell python'
repository=$(cd "$(dirname "$0")/.." && pwd)
cd "$repository" || exit 2
build=$1
shift
mkdir -p "$build/lint"
failed=0

# Files of the tree and new ones, without what git ignores.
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
	[ -f "$file" ] && echo "$file"; done; }

check() {
	echo "lint: $1"
	if ! "$1" >"$build/lint/$1.log" 2>&1; then
		cat "$build/lint/$1.log"
		failed=1
	fi
	grep -s '^skipped: ' "$build/lint/$1.log"
}

# QEMU's style for what is compiled in QEMU's tree alone, the kernel's for all else.
clang_format() {
	status=0
	glue='^(qemu-device|tests/qtest)/[^/]*$'
	files '*.c' '*.h' | grep -v -E "$glue" |
		xargs -r clang-format --style="file:$repository/.clang-format" "$@" || status=1
	files '*.c' '*.h' | grep -E "$glue" |
		xargs -r clang-format --style="file:$repository/qemu-device/.clang-format" "$@" || status=1
	return "$status"
}

format() { clang_format --dry-run -Werror; }
reformat() { clang_format -i; }

# Both compilers see all of userspace, with warnings as errors. gcc takes any difference of unsigned
# counts that reaches malloc for a huge one.
warnings() {
	for compiler in clang 'gcc -Wno-alloc-size-larger-than'; do
		make --no-print-directory BUILD="$build/lint/${compiler%% *}" CC="$compiler" WERROR=1 \
			userspace || return 1
	done
}

includes='-Iuapi -Iruntime/include -I.'

# The kernels of arm64, which no other check compiles on another machine.
neon() {
	# shellcheck disable=SC2046,SC2086 # lists of words
	for file in $(files 'runtime/simd/*.c' | grep -v -E '_(avx2|avx512)\.c$'); do
		clang --target=aarch64-linux-gnu -std=c11 -O2 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
			-Werror -ffp-contract=off -D_GNU_SOURCE $includes -c -o /dev/null "$file" || return 1
	done
}

static_analysis() {
	# shellcheck disable=SC2046,SC2086 # lists of words
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
		--suppressions-list=scripts/cppcheck.txt -D_GNU_SOURCE $includes -j 2 \
		'-Djson_object_foreach(object,key,value)=for (key = "", value = object; value;)' \
		'-Djson_array_foreach(array,index,value)=for (index = 0, value = array; value; index++)' \
		$(files 'runtime/*.c' 'tools/*.c' 'qemu-device/model/*.c')
}

tidy() {
	# shellcheck disable=SC2046,SC2086
	files 'runtime/*.c' 'tools/*.c' 'qemu-device/model/*.c' | grep -v -E '_(avx2|avx512|vnni|neon)\.c$' |
		xargs -r -P 2 -I FILE clang-tidy --quiet --warnings-as-errors='*' FILE -- -std=c11 -D_GNU_SOURCE \
			$includes $(pkg-config --cflags libdrm libnl-3.0 libnl-genl-3.0 jansson libutf8proc)
}

# sparse and the kernel's extra warnings; kbuild reports both on standard error and goes on.
kernel() {
	[ -e kernel/Kbuild ] || return 0
	make --no-print-directory BUILD="$build/lint/module" KBUILD_OPTIONS='C=2 W=1' module || return 1
	! grep -E 'warning:|error:' "$build/lint/kernel.log"
}

# The unpacked source that scripts/debug-kernel.sh keeps: the headers' package lacks these two tools' files.
kernel_source() {
	find "${LF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lorafusion}" -maxdepth 3 -path '*/linux-*/source/.unpacked' 2>/dev/null |
		sort -V | tail -1 | xargs -r dirname
}

# The kernel's rules of style, but for two that take the kernel's own macros for expressions.
checkpatch() {
	source=$(kernel_source)
	[ -n "$source" ] || { echo 'skipped: no linux-source-6.12: run make test-debug once'; return 0; }
	# shellcheck disable=SC2046
	"$source/scripts/checkpatch.pl" --no-tree --file --terse --quiet --no-summary --max-line-length=100 \
		--ignore COMPLEX_MACRO,CONSTANT_COMPARISON \
		$(files 'kernel/*.[ch]' 'tests/kunit/*.c')
}

# The kernel's own semantic patches.
coccinelle() {
	source=$(kernel_source)
	[ -n "$source" ] || { echo 'skipped: no linux-source-6.12: run make test-debug once'; return 0; }
	command -v spatch >/dev/null || { echo 'skipped: no coccinelle: run make lint'; return 0; }
	files 'kernel/*.c' >"$build/lint/coccinelle.files"
	# shellcheck disable=SC2016 # the inner shell's
	find "$source/scripts/coccinelle" -name '*.cocci' ! -path '*/tests/*' | sort |
		xargs -P 2 -I SCRIPT sh -c 'spatch -D report --no-show-diff --very-quiet --no-includes \
			--cocci-file SCRIPT $(cat "$1") 2>/dev/null' sh "$build/lint/coccinelle.files" |
		tee "$build/lint/coccinelle.found"
	[ ! -s "$build/lint/coccinelle.found" ]
}

kernel_doc() {
	tool=$(find /usr/src/linux-headers-6.12.*-common/scripts/kernel-doc 2>/dev/null | sort -V | tail -1)
	[ -n "$tool" ] || { echo 'no scripts/kernel-doc: run make setup'; return 1; }
	# shellcheck disable=SC2046
	"$tool" -none -Werror $(files 'uapi/*.h' 'runtime/include/*.h' 'kernel/*.[ch]' \
		qemu-device/model/xbar.h)
}

shell() {
	git grep -l --untracked -E '^#!/bin/(ba)?sh|^#!/usr/bin/env (ba)?sh' | xargs -r shellcheck -x
}

python() {
	# shellcheck disable=SC2046
	pyflakes3 $(git grep -l --untracked -E '^#!/usr/bin/env python3' ; files '*.py')
}

# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $CHECKS
for name; do
	case " $CHECKS reformat " in
	*" $name "*) check "$name" ;;
	*) echo "lint: no check '$name'; there are $CHECKS" >&2; exit 2 ;;
	esac
done
exit $failed
