#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Build a kernel that checks more than the distribution's does, from the distribution's source, with
# the driver's Kconfig entry in its place. Kernels stay in the cache folder; one whose source, configuration
# or builder has changed is brought up to date.
#
#   scripts/debug-kernel.sh KIND OUTPUT-FOLDER     KIND: a file of tools/vm/kernel/ but base
#
# OUTPUT-FOLDER gets links: `bzImage`, `build` (to compile modules against), `root` (its modules, below
# lib/modules) and the file `release`.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
kind=$1
output=$2
fragments="$repository/tools/vm/kernel/base.config $repository/tools/vm/kernel/$kind.config"
cache=${LF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lorafusion}
archive=/usr/src/linux-source-6.12.tar.xz
[ -e "$archive" ] || { echo "debug-kernel: no $archive: run scripts/setup.sh debug" >&2; exit 1; }

version=$(dpkg-query -W -f '${Version}' linux-source-6.12)
# shellcheck disable=SC2086 # a list of files
content=$(cat $fragments "$repository/kernel/Kconfig" "$0" | sha256sum | cut -c 1-16)
source=$cache/linux-$version/source
build=$cache/linux-$version/$kind
mkdir -p "$cache/linux-$version" "$output"
exec 9>"$cache/linux-$version/lock"
flock 9

if [ ! -e "$source/.unpacked" ]; then
	echo 'debug-kernel: unpacking the source'
	rm -rf "$source"
	mkdir -p "$source"
	tar -xJf "$archive" -C "$source" --strip-components=1
	touch "$source/.unpacked"
fi
mkdir -p "$source/drivers/accel/lorafusion"
cmp -s "$repository/kernel/Kconfig" "$source/drivers/accel/lorafusion/Kconfig" ||
	cp "$repository/kernel/Kconfig" "$source/drivers/accel/lorafusion/Kconfig"
grep -q lorafusion "$source/drivers/accel/Kconfig" ||
	echo 'source "drivers/accel/lorafusion/Kconfig"' >>"$source/drivers/accel/Kconfig"

if [ "$(cat "$build/.built" 2>/dev/null)" != "$content" ]; then
	echo "debug-kernel: building $kind, which takes some minutes"
	mkdir -p "$build"
	log=$build/build.log
	{
		make -C "$source" O="$build" tinyconfig
		# shellcheck disable=SC2086 # a list of files
		(cd "$build" && "$source/scripts/kconfig/merge_config.sh" -m -O . .config $fragments)
		make -C "$source" O="$build" olddefconfig
	} >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
	# An option that depends on another that is off is dropped in silence; a kernel without its checks passes every test.
	# shellcheck disable=SC2086 # a list of files
	missing=$(sed -n "s/^# \(CONFIG_[A-Z0-9_]*\) is not set$/\1=n/p; /^CONFIG_/p" $fragments |
		while IFS='=' read -r option value; do
			taken=$(sed -n "s/^$option=//p" "$build/.config")
			[ "${taken:-n}" = "$value" ] || echo "$option=$value"
		done)
	if [ -n "$missing" ]; then
		echo "debug-kernel: these options did not take: $missing" >&2
		exit 1
	fi
	{
		make -C "$source" O="$build" -j"$(nproc)" bzImage modules
		rm -rf "$build/root"
		make -C "$source" O="$build" INSTALL_MOD_PATH="$build/root" modules_install
	} >>"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
	echo "$content" >"$build/.built"
fi

ln -sfn "$build/arch/x86/boot/bzImage" "$output/bzImage"
ln -sfn "$build" "$output/build"
ln -sfn "$build/root" "$output/root"
cat "$build/include/config/kernel.release" >"$output/release"
