#!/bin/sh
# What a static program for Lambda is linked with, for one architecture (amd64, arm64), in OUT/sysroot:
# Debian's own static libraries, and libcurl built from Debian's own source with HTTP, TLS and nothing else, because Debian's
# libcurl.a wants libraries that have no static form. Needs no root and changes nothing outside of OUT.
#
#     tools/lambda/sysroot.sh amd64|arm64 OUT
set -eu
arch=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
case $arch in
amd64) triple=x86_64-linux-gnu ;;
arm64) triple=aarch64-linux-gnu ;;
*) echo "sysroot.sh: amd64 or arm64, not $arch" >&2; exit 2 ;;
esac
cc=$triple-gcc
command -v "$cc" >/dev/null || { echo "sysroot.sh: no $cc; tools/install.sh lambda installs it" >&2; exit 1; }
[ ! -f "$out/done" ] || exit 0
rm -rf "$out/sysroot" "$out/apt" "$out/curl"
mkdir -p "$out/sysroot" "$out/apt/lists/partial" "$out/apt/archives/partial" "$out/apt/deb" "$out/curl"

# An apt of our own, asking the same mirrors as the system's: for another architecture, and for sources.
apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u |
    while read -r origin uri suite component; do
        [ "$origin" = Debian ] || continue
        echo "deb [arch=$arch] $uri $suite $component"
        echo "deb-src $uri $suite $component"
    done >"$out/apt/sources.list"
[ -s "$out/apt/sources.list" ] || { echo "sysroot.sh: apt knows no Debian mirror; see /etc/apt" >&2; exit 1; }
: >"$out/apt/status"
cat >"$out/apt/conf" <<EOF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "";
Dir::State "$out/apt";
Dir::State::status "$out/apt/status";
Dir::Cache "$out/apt";
Dir::Etc::SourceList "$out/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Acquire::Languages "none";
EOF
export APT_CONFIG="$out/apt/conf"
apt-get -qq update

cd "$out/apt/deb"
apt-get -qq download libssl-dev libsnappy-dev libzstd-dev liblz4-dev libbrotli-dev libdeflate-dev libyaml-dev libyajl-dev libexpat1-dev \
    libxxhash-dev libpcre2-dev libsqlite3-dev libcrypt-dev zlib1g-dev libmicrohttpd-dev
for deb in *.deb; do dpkg-deb -x "$deb" "$out/sysroot"; done

cd "$out/curl"
apt-get -qq source --only-source curl >/dev/null
cd "$out"/curl/curl-*/
flags="-O2 -fPIE -ffunction-sections -fdata-sections -isystem $out/sysroot/usr/include -isystem $out/sysroot/usr/include/$triple"
{
    ./configure --host="$triple" --prefix=/usr --disable-shared --enable-static --with-openssl --with-zlib --disable-ldap --disable-ldaps --disable-rtsp \
        --disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp --disable-gopher --disable-mqtt \
        --disable-ftp --disable-file --disable-manual --disable-libcurl-option --disable-netrc --disable-cookies --disable-ntlm \
        --disable-unix-sockets --disable-alt-svc --disable-hsts --disable-doh --disable-threaded-resolver --without-libpsl \
        --without-nghttp2 --without-brotli --without-zstd --without-libidn2 --without-librtmp --without-libssh2 \
        --without-ca-bundle --without-ca-path CC="$cc" CFLAGS="$flags" \
        LDFLAGS="-L$out/sysroot/usr/lib/$triple" LIBS="-ldl -lpthread"
    make -j"$(nproc)" -C lib
} >"$out/curl.log" 2>&1 || { tail -n 30 "$out/curl.log" >&2; echo "sysroot.sh: curl was not built; whole log in $out/curl.log" >&2; exit 1; }
mkdir -p "$out/sysroot/usr/include/curl"
cp include/curl/*.h "$out/sysroot/usr/include/curl/"
cp lib/.libs/libcurl.a "$out/sysroot/usr/lib/$triple/"
dpkg-parsechangelog -S Version >"$out/curl-version"
ls "$out/apt/deb" | sed 's/_[^_]*\.deb$//' >"$out/packages"
rm -rf "$out/curl" "$out/apt"
: >"$out/done"
