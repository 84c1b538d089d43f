#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fetch the distribution's QEMU source once and print the folder it lies in. The list of
# sources is the machine's own with `deb-src` in place of `deb`, kept with its index in the cache
# folder: the system's configuration stays as it is.
set -eu

cache=${LF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lorafusion}
found=$(find "$cache" -maxdepth 2 -path '*/qemu-*/unpacked' 2>/dev/null | sort -V | tail -1)
if [ -n "$found" ]; then
	dirname "$found"
	exit 0
fi

apt=$cache/apt
mkdir -p "$apt/sources.d" "$apt/lists/partial" "$apt/archives/partial" "$cache/download"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -r "$file" ] || continue
	sed -n 's/^deb /deb-src /p' "$file" >"$apt/sources.d/$(basename "$file" .list).list"
done
for file in /etc/apt/sources.list.d/*.sources; do
	[ -r "$file" ] || continue
	sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/sources.d/$(basename "$file")"
done

private_apt() {
	command=$1
	shift
	"$command" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources.d" \
		-o Dir::State::lists="$apt/lists" -o Dir::Cache::archives="$apt/archives" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

echo 'qemu: fetching the source from the distribution' >&2
# A third party's list without sources must not stop this; whether QEMU's is there is seen below.
private_apt apt-get -qq update >&2 || true
version=$(private_apt apt-cache showsrc qemu | sed -n 's/^Version: //p' | sort -V | tail -1)
if [ -z "$version" ]; then
	echo 'qemu: the configured package lists offer no QEMU source' >&2
	exit 1
fi
# shellcheck disable=SC2001 # an epoch is a number and a colon
plain=$(echo "$version" | sed 's/^[0-9]*://')
folder=$cache/qemu-$plain
cd "$cache/download"
private_apt apt-get -qq source --download-only "qemu=$version" >&2
rm -rf "$folder.part" && mkdir -p "$folder.part"
dpkg-source --no-check -x "qemu_$plain.dsc" "$folder.part/source" >&2
rm -rf "$folder" && mv "$folder.part" "$folder"
touch "$folder/unpacked"
rm -f "$cache/download/qemu_"*
echo "$folder"
