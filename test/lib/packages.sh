# shellcheck shell=bash
# packages.sh
#	The Debian packages that this project needs, and how they get installed.
#	Sourced by ./demo and ./check; needs messages.sh.

# To build and run the extension.
# shellcheck disable=SC2034
KALAM_BUILD_PACKAGES=(gcc libc6-dev make binutils
	postgresql-15 postgresql-server-dev-15
	librocksdb-dev libxxhash-dev)

# To run its tests as well.
# shellcheck disable=SC2034
KALAM_TEST_PACKAGES=(perl libipc-run-perl)

# Runs a command as root: at once, or through sudo, or not at all.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "This step needs root: $*" \
			"Run it again as root, or install sudo."
	fi
}

# Prints those of the named packages that are not installed.
packages_missing()
{
	local name

	for name in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null |
			grep -qx installed || printf '%s\n' "$name"
	done
}

# apt_quietly MESSAGE apt-get argument...: shows what apt-get prints only if it
# fails, and ends the script then.
apt_quietly()
{
	local message=$1 log

	shift
	log=$(mktemp)
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		"$@" >"$log" 2>&1 </dev/null || {
		tail -n 40 "$log" >&2
		rm -f "$log"
		die "$message (the end of its messages stands above)." \
			"Check the network and /etc/apt/sources.list; this is made for Debian 12 (bookworm)."
	}
	rm -f "$log"
}

# Downloads the package lists.
packages_update()
{
	say "Downloading the package lists"
	apt_quietly "apt-get update failed" update
}

# Installs those of the named packages that are missing.
packages_install()
{
	local missing

	command -v apt-get >/dev/null ||
		die "This machine has no apt-get: the packages can be installed on Debian only." \
			"Elsewhere, build with make and make install; see README.md."
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	packages_update
	say "Installing packages: ${missing[*]}"
	apt_quietly "apt-get install failed" --no-install-recommends install "${missing[@]}"
}
