#!/bin/sh
# docs.sh PROGRAM: every configuration in the documentation must load.
#
# A block of JSON that is a whole file begins with a comment that names it,
#   // portal.json
# and is given to "check", which must have nothing to say: no error, no warning. A
# first line "// portal.json, warns" lets warnings pass; "// mesh.json" is for "mesh check". The samples in configs/ are
# checked alike. Certificates that files name are made beforehand.
set -eu
program=$(realpath "$1")
top=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$program" tls cert -domain hub.example.org -file cert -json=false
mv cert.crt cert.pem
mv cert.key key.pem
n=0
bad=0

# try FILE SHOWN-AS
try() {
	n=$((n + 1))
	case $1 in
	*mesh.json)
		"$program" mesh check "$1" >out 2>&1 && return
		cat out
		echo "docs: $2 is no good mesh"
		bad=1
		return
		;;
	esac
	if ! "$program" check "$1" >out 2>&1; then
		cat out
		echo "docs: $2 does not load"
		bad=1
	elif ! grep -q '^0 warnings' out && ! head -1 "$1" | grep -q ', warns$'; then
		cat out
		echo "docs: $2 loads with warnings"
		bad=1
	fi
}

for page in "$top"/*.md "$top"/docs/*.md; do
	[ -e "$page" ] || continue
	awk '/^```json$/ { getline; if ($0 ~ /^\/\/ [a-z0-9-]+\.json/) {
			file = sprintf("%03d-%s", ++n, $2); sub(/,$/, "", file); on = 1 } }
		/^```$/ { on = 0 }
		on { print > file }' "$page"
	for file in [0-9]*.json; do
		[ -e "$file" ] || continue
		try "$file" "$(basename "$page"): $file"
		rm "$file"
	done
done
cp "$top"/configs/*.json .
for file in *.json; do
	try "$file" "configs/$file"
done
[ $bad = 0 ] && echo "docs: $n configurations load"
exit $bad
