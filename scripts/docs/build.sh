#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Turn README.md, Documentation/ and the kernel-doc comments of the public headers into HTML, and
# those comments into man pages of section 3.
#
#   scripts/docs/build.sh OUTPUT-FOLDER [MAN-PAGE...]
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
output=$(cd "$1" && pwd)
shift
cd "$repository"
kernel_doc=$(find /usr/src/linux-headers-6.12.*-common/scripts/kernel-doc 2>/dev/null | sort -V | tail -1)
[ -n "$kernel_doc" ] || { echo 'docs: no scripts/kernel-doc: run make setup' >&2; exit 1; }

source=$output/source
rm -rf "$source" "$output/man" && mkdir -p "$source/api" "$output/man/man3"
if [ -d Documentation ]; then cp -R Documentation/. "$source/"; fi
# The tree has the pages in a folder of their own, the HTML has not.
if [ -e README.md ]; then sed 's#](Documentation/#](#g' README.md >"$source/README.md"; fi

# plain_prose: kernel-doc passes a comment's text on as reStructuredText, which takes |x| for a name and
# folds lines. Prose of DOC sections keeps its lines; a function's name may touch its arguments.
plain_prose() {
	awk '/^\.\. _.*:$/ { section = 1; print; next }
	     /^\.\. c:/ { section = 0 }
	     /::$/ { code = 1; print; next }
	     code && /^  ?[^ ]/ { code = 0 }
	     code { print; next }
	     { gsub(/\|/, "\\|"); gsub(/\*\*\(/, "**\\ (") }
	     section && NF && !/^\*\*[^*]*\*\*$/ { print "| " $0; next }
	     { print }'
}

for header in uapi/*/*.h runtime/include/lf/*.h qemu-device/model/xbar.h; do
	[ -e "$header" ] || continue
	page=$source/api/$(echo "$header" | tr / - | sed 's/\.h$//').rst
	title="\`\`$header\`\`"
	{
		echo "$title"
		echo "$title" | sed 's/./=/g'
		echo
		"$kernel_doc" -rst "$header" 2>/dev/null | plain_prose
	} >"$page"
	"$kernel_doc" -man "$header" 2>/dev/null | (cd "$output/man/man3" &&
		awk -F '"' '/^\.TH / {
				name = $2 == "Kernel API" ? $4 : $2
				sub(/.* /, "", name)
				file = name ".3"
				print ".TH \"" name "\" 3 \"\" \"LoRAFusion\" \"liblf\"" > file
				next
			}
			file { print > file }') || true
done

# Descriptions of the ABI keep the format that the kernel's tools read.
for file in Documentation/ABI/*; do
	[ -e "$file" ] || continue
	name=$(basename "$file")
	rm "$source/ABI/$name"
	{ printf '# %s\n\n```none\n' "$name"; cat "$file"; printf '```\n'; } >"$source/ABI/$name.md"
done

if [ ! -e "$source/index.md" ] && [ ! -e "$source/index.rst" ]; then
	{
		printf '# LoRAFusion\n\n```{toctree}\n:maxdepth: 2\n:glob:\n\n'
		[ ! -e README.md ] || echo README
		printf '*\n*/*\n```\n'
	} >"$source/index.md"
fi

sphinx-build -q -b html -c scripts/docs "$source" "$output/html"
for page in Documentation/man/*.[1-8] "$@"; do
	[ -e "$page" ] || continue
	section=$output/man/man${page##*.}
	mkdir -p "$section" && cp "$page" "$section/"
done
echo "docs: $output/html/index.html, man pages in $output/man"
