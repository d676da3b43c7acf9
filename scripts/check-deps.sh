#!/bin/sh
# The rule of direction: an #include may point only to a folder further to the
# right, or into its own folder. Alternatives on one line never see each other.
# A library belongs to the folders named for it. Prints every violation.
set -u
cd "$(dirname "$0")/.." || exit 1

# folder: folders it may include
may() {
	case $1 in
	base) echo base ;;
	crypto) echo base crypto ;;
	proto) echo base crypto proto ;;
	conf) echo base crypto proto conf ;;
	mesh) echo base crypto proto conf mesh ;;
	route) echo base crypto proto conf route ;;
	net) echo base crypto proto conf net ;;
	flow) echo base crypto proto conf route net flow ;;
	proxy) echo base crypto proto conf route net flow proxy ;;
	vpn) echo base crypto proto conf route net flow vpn ;;
	app) echo base crypto proto conf mesh route net flow proxy vpn app ;;
	main) echo base conf app ;;
	*) echo "" ;;
	esac
}

# header of a library: folders that may see it
owner() {
	case $1 in
	ev.h | ares.h | zlib.h | zstd.h | brotli/*) echo net ;;
	openssl/ssl.h | openssl/err.h | openssl/bio.h | openssl/x509*.h | openssl/pem.h) echo "net app" ;;
	openssl/*) echo "crypto net app" ;;
	cjson/*) echo "conf mesh flow proxy vpn app" ;;
	pcre2.h) echo route ;;
	qrencode.h) echo app ;;
	lwip/* | netlink/*) echo vpn ;;
	*) echo "" ;;
	esac
}

bad=0
for f in src/main.c src/*/*.c src/*/*.h; do
	[ -e "$f" ] || continue
	dir=$(basename "$(dirname "$f")")
	[ "$f" = src/main.c ] && dir=main
	allowed=" $(may "$dir") "
	if [ "$allowed" = "  " ]; then
		echo "$f: folder '$dir' is not in the picture (scripts/check-deps.sh)"
		bad=1
		continue
	fi
	for inc in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$f"); do
		to=${inc%%/*}
		case "$allowed" in
		*" $to "*) ;;
		*)
			echo "$f: includes $inc, but '$dir' may not see '$to'"
			bad=1
			;;
		esac
	done
	for inc in $(sed -n 's/^#include <\([^>]*\)>.*/\1/p' "$f"); do
		who=$(owner "$inc")
		[ -z "$who" ] && continue
		case " $who " in
		*" $dir "*) ;;
		*)
			echo "$f: <$inc> belongs to: $who"
			bad=1
			;;
		esac
	done
done
[ $bad = 0 ] && echo "dependencies: every include points the right way"
exit $bad
