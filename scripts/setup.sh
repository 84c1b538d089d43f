#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Install from the distribution what the build, the tests and the guest need, and say so.
# With everything there it asks only dpkg and returns at once; nothing is removed or upgraded
# without need.
#
#   scripts/setup.sh [GROUP...]   groups: build kernel qemu vm data test lint golden docs debug (default:
#                                 all but golden and debug)
set -eu

# shellcheck disable=SC2034 # each list is read by the name of its group
build='make gcc clang binutils libc6-dev pkg-config libdrm-dev libnl-3-dev libnl-genl-3-dev
	libjansson-dev libutf8proc-dev check bsdextrautils'
# The headers bring the kernel image they belong to, which the guest boots.
kernel='linux-headers-6.12-amd64 linux-image-6.12-amd64'
qemu='dpkg-dev patch meson ninja-build libglib2.0-dev libpixman-1-dev zlib1g-dev libattr1-dev
	libcap-ng-dev libfdt-dev ccache'
vm='seabios qemu-system-data busybox-static cpio kmod xz-utils python3'
data='apt python3 python3-pip python3-venv ca-certificates'
test='python3 libclang-rt-dev'
lint='libc6-dev-arm64-cross clang-format clang-tidy cppcheck sparse shellcheck pyflakes3 git coccinelle'
# The distribution's PyTorch multiplies with the BLAS that is there; the reference one is no peer.
# shellcheck disable=SC2034
golden='python3-torch python3-numpy libopenblas0-pthread'
docs='python3-sphinx python3-myst-parser'
# shellcheck disable=SC2034
debug='linux-source-6.12 flex bison libelf-dev libssl-dev bc xz-utils'

missing_of() {
	for package; do
		state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
		case $state in ii*) ;; *) echo "$package" ;; esac
	done
}

wanted=
for group in "${@:-everything}"; do
	case $group in
	build | kernel | qemu | vm | data | test | lint | golden | docs | debug) eval "wanted=\"\$wanted \$$group\"" ;;
	everything) wanted="$wanted $build $kernel $qemu $vm $data $test $lint $docs" ;;
	*) echo "setup: no group '$group'" >&2; exit 2 ;;
	esac
done

# shellcheck disable=SC2086 # a list of words
missing=$(missing_of $wanted | sort -u | tr '\n' ' ')
# Tasks are made from the package lists, which a small installation may have thrown away.
lists=unneeded
case " $wanted " in
*' apt '*) [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)" ] || lists=missing ;;
esac
if [ -z "$missing" ] && [ $lists = unneeded ]; then
	exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
	as_root='env'
elif command -v sudo >/dev/null; then
	as_root='sudo env'
else
	echo "setup: missing: $missing" >&2
	echo 'setup: neither root nor sudo: install these packages and try again' >&2
	exit 1
fi
options='-o DPkg::Lock::Timeout=600 -o APT::Get::Assume-Yes=true -o Dpkg::Use-Pty=0'
echo 'setup: updating the package lists'
# shellcheck disable=SC2086 # lists of words
$as_root apt-get $options -qq update
[ -n "$missing" ] || exit 0
echo "setup: installing from the distribution: $missing"
# shellcheck disable=SC2086
$as_root DEBIAN_FRONTEND=noninteractive apt-get $options -qq install --no-install-recommends $missing
