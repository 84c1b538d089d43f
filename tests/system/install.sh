#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `make install` puts down is enough to build against: pkg-config finds it, a program written
# with the public headers alone compiles, links and runs, and the shared library exports what
# those headers declare and nothing else.
set -u

build=${LF_BUILD:-build}
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0

result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then echo "ok $number $2"; else echo "not ok $number $2"; fi
}

echo 'TAP version 13'
echo '1..6'

root=$folder/root
make --no-print-directory BUILD="$build" DESTDIR="$root" prefix=/usr install >"$folder/log" 2>&1
status=$?
[ $status -eq 0 ] || sed 's/^/# /' "$folder/log"
result $status 'make install'

test -x "$root/usr/bin/lfctl" && test -L "$root/usr/lib/liblf.so" && test -e "$root/usr/lib/liblf.so.0"
result $? 'the tool and the library are where they belong'

export PKG_CONFIG_PATH="$root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
flags=$(pkg-config --define-variable=prefix=/usr --cflags --libs liblf 2>"$folder/log")
result $? 'pkg-config finds liblf'

cat >"$folder/program.c" <<'EOF'
#include <stdio.h>
EOF
for header in runtime/include/lf/*.h; do
	echo "#include <lf/$(basename "$header")>" >>"$folder/program.c"
done
cat >>"$folder/program.c" <<'EOF'

int main(void)
{
	struct lf_error error;
	struct lf_device *device;
	int ret = lf_device_open("inproc:ideal", &device, &error);

	if (ret) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	lf_device_close(device);
	return 0;
}
EOF
# shellcheck disable=SC2086 # a list of words
gcc -std=c11 -Wall -Wextra -Werror -o "$folder/program" "$folder/program.c" $flags \
	>"$folder/log" 2>&1 && LD_LIBRARY_PATH=$root/usr/lib "$folder/program" >>"$folder/log" 2>&1
status=$?
sed 's/^/# /' "$folder/log"
result $status 'a program of the public headers compiles and opens a device'

gcc -std=c11 -fsyntax-only -aux-info "$folder/prototypes" -I"$root/usr/include" "$folder/program.c"
grep "/usr/include/lf/" "$folder/prototypes" | sed -n 's/.*extern .*[ *]\(lf_[a-z0-9_]*\) (.*/\1/p' |
	sort -u >"$folder/declared"
nm -D --defined-only "$root/usr/lib/liblf.so" | awk '{ sub(/@.*/, "", $3); print $3 }' |
	grep -v '^LF_\|^LIBLF' | sort -u >"$folder/exported"

missing=$(comm -23 "$folder/declared" "$folder/exported" | tr '\n' ' ')
echo "# $(wc -l <"$folder/declared") functions declared; not exported: ${missing:-none}"
test -s "$folder/declared" && test -z "$missing"
result $? 'every declared function is exported'

extra=$(comm -13 "$folder/declared" "$folder/exported" | tr '\n' ' ')
echo "# exported without a declaration: ${extra:-none}"
test -s "$folder/exported" && test -z "$extra"
result $? 'nothing else is exported'
