# shellcheck shell=bash
# packages.sh
#	The Debian packages that this project needs, and how they get installed.
#	Sourced by ./demo and ./check; needs messages.sh.

# To build and run the extension.
# shellcheck disable=SC2034
KALAM_BUILD_PACKAGES=(gcc g++ libc6-dev make binutils
	postgresql-15 postgresql-server-dev-15
	librocksdb-dev libxxhash-dev)

# To run its tests as well.
# shellcheck disable=SC2034
KALAM_TEST_PACKAGES=(perl libipc-run-perl bzip2)

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

# Writes a list of package sources to $1/sources.list.d, made of the system's own
# lists of packages.
source_lists()
{
	local file

	mkdir -p "$1/sources.list.d"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -r "$file" ] || sed -n 's/^deb[[:space:]]/deb-src /p' "$file"
	done >"$1/sources.list.d/all.list"
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -r "$file" ] || awk -v RS= -v ORS='\n\n' '
			/(^|\n)Types:[^\n]*deb([ \t]|\n|$)/ {
				sub(/Types:[^\n]*/, "Types: deb-src"); print }' "$file"
	done >"$1/sources.list.d/all.sources"
}

# postgres_source DIR: the source of the installed server's isolation specs and
# regression scripts, as DIR/src/test/isolation and regress.  By apt, with lists of its own below DIR: the system's
# are not changed, and nothing needs root.  If it cannot be had, says why on
# stdout and returns 1.
postgres_source()
{
	local package=postgresql-$PG_VERSION_WANTED version orig
	local -a lists apt versions

	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	source_lists "$1"
	lists=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$1/sources.list.d"
		-o "Dir::State::Lists=$1/lists" -o "Dir::Cache=$1/cache")
	apt=(apt-get -q -y -o Acquire::Retries=3 -o APT::Sandbox::User= "${lists[@]}")
	# A list that cannot be had may be one that does not matter.
	timeout 180 "${apt[@]}" update >"$1/log" 2>&1 || true
	# That of the server first.  The newest can be missing for a while.
	mapfile -t versions < <(
		dpkg-query -W -f '${Version}\n' "$package" 2>/dev/null
		apt-cache "${lists[@]}" showsrc "$package" 2>/dev/null |
			sed -n 's/^Version: //p' | sort -rV)
	for version in "${versions[@]}"; do
		! (cd "$1" && timeout 180 "${apt[@]}" --download-only --tar-only source \
			"$package=$version") >>"$1/log" 2>&1 || break
	done
	orig=$(find "$1" -maxdepth 1 -name "${package}_*.orig.tar.*" | head -n 1)
	if [ -z "$orig" ]; then
		echo "no source of $package: $(grep -E '^[EW]:' "$1/log" | tail -n 1)"
		return 1
	fi
	tar -xf "$orig" -C "$1" --strip-components=1 --wildcards '*/src/test/isolation' \
		'*/src/test/regress/sql' '*/src/test/regress/data' 2>>"$1/log" || {
		echo "$(basename "$orig") could not be unpacked"
		return 1
	}
	rm -rf "$orig" "$1/lists" "$1/cache"
}
