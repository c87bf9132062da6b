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

# Downloads the package lists.
packages_update()
{
	as_root apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update ||
		die "apt-get update failed (its messages stand above)." \
			"Check the network and /etc/apt/sources.list."
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
	say "Installing packages: ${missing[*]}"
	packages_update
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
		install "${missing[@]}" ||
		die "apt-get install failed (its messages stand above)." \
			"The project is made for Debian 12 (bookworm), which has all of: ${missing[*]}"
}
