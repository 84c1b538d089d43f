#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Build the distribution's QEMU with qemu-device/ wired in as hw/lf, and copy the emulator and the
# programs of tests/qtest to a folder. The tree and its build stay in the cache folder, so a
# change of the device compiles that device and links.
#
#   scripts/qemu-build.sh OUTPUT-FOLDER
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1/tests"
output=$(cd "$1" && pwd)
cache=${LF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lorafusion}
mkdir -p "$cache"
exec 9>"$cache/qemu.lock"
flock 9

folder=$("$repository/scripts/qemu-source.sh")
source=$folder/source
build=$folder/build
device=$repository/qemu-device

# pristine FILE: QEMU's own text of a file that is edited here, kept beside it the first time.
pristine() {
	[ -e "$source/$1.pristine" ] || cp -p "$source/$1" "$source/$1.pristine"
	cat "$source/$1.pristine"
}

# replace FILE: take standard input as the new text, leaving an equal file and its time alone.
replace() {
	cat >"$source/$1.new"
	if cmp -s "$source/$1.new" "$source/$1"; then
		rm "$source/$1.new"
	else
		mv "$source/$1.new" "$source/$1"
	fi
}

# Another copy of this repository was built here last: its products may be newer than the files of
# this one and yet not be made of them.
if [ "$(cat "$folder/repository" 2>/dev/null)" != "$repository" ]; then
	rm -f "$folder/repository"
	[ ! -d "$build" ] || find "$build" -type f \( -path '*/hw/lf/*' -o -path '*/tests/qtest/lf-*' -o \
		-name 'trace-hw_lf.*' \) -delete
	touch "$source/hw/meson.build"
fi

# The device sees uapi/lf as <lf/...>, and its model under the name it has in this tree.
ln -sfn "$repository/uapi/lf" "$source/include/lf"
ln -sfn "$device" "$source/include/qemu-device"
ln -sfn "$device" "$source/hw/lf"
ln -sfn "$repository/tests/qtest" "$source/tests/qtest/lf"

wired() { [ -e "$device/meson.build" ]; }

{
	pristine hw/meson.build
	if wired; then echo "subdir('lf')"; fi
} | replace hw/meson.build
{
	pristine hw/Kconfig
	if wired; then echo 'source lf/Kconfig'; fi
} | replace hw/Kconfig
if wired && [ -e "$device/trace-events" ]; then
	pristine meson.build | sed "s|^trace_events_subdirs = \[|&\n  'hw/lf',|"
else
	pristine meson.build
fi | replace meson.build

echo "$repository" >"$folder/repository"

# Files in tests/qtest with a main are tests, the others are linked into each of them; so is what
# they use of the model.
tests=
helpers=
for file in "$repository"/tests/qtest/*.c; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .c)
	if grep -qw main "$file"; then tests="$tests $name"; else helpers="$helpers'lf/$name.c', "; fi
done
{
	pristine tests/qtest/meson.build
	for name in $tests; do
		echo "executable('lf-$name', ['lf/$name.c', $helpers], dependencies: [qemuutil, qos],"
		echo "  c_args: lf_cflags, link_with: lf_libraries)"
	done
} | replace tests/qtest/meson.build

case $(uname -m) in
x86_64)
	target=x86_64
	boards='Q35 PCIE_PORT VTD'
	# Debian's kernel on the host may offer KVM; TCG is the default all the same.
	extra=--enable-kvm
	;;
*)
	echo "qemu: no wiring for hosts of $(uname -m)" >&2
	exit 1
	;;
esac
symbols=
if wired; then symbols=$(sed -n 's/^config  *//p' "$device/Kconfig"); fi
for symbol in $boards $symbols EDU VIRTIO_PCI VIRTIO_9P VIRTIO_SERIAL ISA_DEBUG; do
	echo "CONFIG_$symbol=y"
done | { cat; echo CONFIG_PCI_DEVICES=n; } | replace "configs/devices/$target-softmmu/lf.mak"

export CCACHE_DIR="$cache/ccache"
log=$output/build.log
options="--firmwarepath=/usr/share/qemu:/usr/share/seabios
	--target-list=$target-softmmu --without-default-features --without-default-devices
	--with-devices-$target=lf --enable-tcg $extra --enable-virtfs --enable-attr --enable-cap-ng
	--enable-fdt=system --disable-docs --disable-tools --disable-debug-info --disable-werror
	--extra-cflags=-ffp-contract=off"
if ! echo "$options" | cmp -s - "$build/lf-options"; then
	echo 'qemu: configuring'
	rm -rf "$build" && mkdir -p "$build"
	# The distribution's meson runs on the distribution's Python, whatever else is installed.
	# shellcheck disable=SC2086 # lists of words
	(cd "$build" && PATH=/usr/bin:$PATH "$source/configure" --cc='ccache gcc' $options) \
		>"$log" 2>&1 || {
		tail -n 30 "$log" >&2
		exit 1
	}
	echo "$options" >"$build/lf-options"
	echo 'qemu: building, some minutes the first time'
fi

emulator=qemu-system-$target
programs=$emulator
for name in $tests; do programs="$programs tests/qtest/lf-$name"; done
# shellcheck disable=SC2086 # a list of words
if ! ninja -C "$build" ${LF_JOBS:+-j"$LF_JOBS"} $programs >"$log" 2>&1; then
	grep -A20 -E 'FAILED|ERROR' "$log" >&2 || tail -n 30 "$log" >&2
	echo "qemu: the whole log is $log" >&2
	exit 1
fi

# A new file in place of the old one, so that a guest that runs keeps what it runs on.
install -m 755 "$build/$emulator" "$output/$emulator.new"
mv "$output/$emulator.new" "$output/$emulator"
rm -f "$output"/tests/*
for name in $tests; do
	install -m 755 "$build/tests/qtest/lf-$name" "$output/tests/$name"
done
