#!/bin/sh
# Installs from Debian what the tests need (and, with the word "bench", what the benchmarks compare with).
# Never fails: where it cannot install, it says what is missing, and the tests that need it are skipped.
set -u

# command:package
wanted='git:git nebula:nebula nebula-cert:nebula ip:iproute2 ss:iproute2 iperf3:iperf3 ping:iputils-ping setpriv:util-linux nft:nftables dig:bind9-dnsutils prometheus:prometheus'
if [ "${1:-}" = bench ]; then
  wanted="$wanted wireguard-go:wireguard-go"
fi

# The fastest AES-GCM on x86-64, under the name that this release of Debian gives it.
cipher_library() {
  [ "$(uname -m)" = x86_64 ] || return 0
  ldconfig -p 2>/dev/null | grep -q 'libIPSec_MB\.so\.[12]' && return 0
  ls /usr/lib/x86_64-linux-gnu/libIPSec_MB.so.[12] >/dev/null 2>&1 && return 0
  for name in libipsec-mb2 libipsec-mb1; do
    apt-cache show "$name" >/dev/null 2>&1 && echo " $name" && return 0
  done
  echo ' libipsec-mb1'
}

packages=''
for pair in $wanted; do
  command -v "${pair%%:*}" >/dev/null 2>&1 && continue
  case " $packages " in
    *" ${pair#*:} "*) ;;
    *) packages="$packages ${pair#*:}" ;;
  esac
done
library=$(cipher_library)
if [ -z "$packages$library" ]; then
  exit 0
fi

if [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Not installed:$packages$library. This is not Debian: install them by hand, or tests that need them are skipped."
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Not installed:$packages$library. Only root can install them (apt-get install$packages$library); tests that need them are skipped."
  exit 0
fi

echo "Installing from Debian:$packages$library"
export DEBIAN_FRONTEND=noninteractive

# Services that come along (prometheus) are not started: the tests start what they need themselves.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
fi

install() {
  # shellcheck disable=SC2086 # a list of words on purpose
  apt-get install -y -q --no-install-recommends $1 </dev/null
}
# shellcheck disable=SC2086
if [ -n "$packages" ]; then
  install "$packages" || { apt-get update -q </dev/null && install "$packages"; } || echo "Could not install:$packages"
fi
# By itself, for its name differs between releases, and its absence only costs speed.
library=$(cipher_library)
if [ -n "$library" ]; then
  install "$library" || { apt-get update -q </dev/null && install "$(cipher_library)"; } || echo "Could not install:$library"
fi
exit 0
