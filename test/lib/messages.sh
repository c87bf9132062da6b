# shellcheck shell=bash
# messages.sh
#	What scripts tell their user.  Sourced.

say()
{
	printf '%s\n' "$*"
}

# die MESSAGE [HINT...]: ends the script.
die()
{
	{
		printf '\n%s: %s\n' "${0##*/}" "$1"
		shift
		while [ $# -gt 0 ]; do
			printf '    %s\n' "$1"
			shift
		done
	} >&2
	exit 1
}
