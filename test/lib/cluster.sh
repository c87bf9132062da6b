# shellcheck shell=bash
# cluster.sh
#	Private PostgreSQL clusters: made, started, stopped in a folder.
#	Sourced by ./demo, ./check, bench/run, test/compare/run; needs messages.sh.
#
#	PostgreSQL does not run as root.  Started by root, everything that touches
#	a cluster runs as the user `postgres` instead; else as the current user.
#	A cluster DIR holds: data/ (the data directory), socket/, server.log.
#	CLUSTER_PORT (5432) only tells apart what shares a socket folder: there is
#	no TCP.

PG_VERSION_WANTED=15
PG_BINDIR=${PG_BINDIR:-/usr/lib/postgresql/$PG_VERSION_WANTED/bin}
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_VERSION_WANTED/bin/pg_config}

# The name of the user that servers run as.
server_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		echo postgres
	else
		id -un
	fi
}

# Runs a command as that user, in a folder that it may enter.
as_server_user()
{
	(
		cd "${AS_SERVER_USER_IN:-/}" || exit
		if [ "$(id -u)" -eq 0 ]; then
			exec setpriv --reuid=postgres --regid=postgres --init-groups \
				env HOME=/tmp USER=postgres LOGNAME=postgres LC_ALL=C.UTF-8 "$@"
		else
			exec env LC_ALL=C.UTF-8 "$@"
		fi
	)
}

# Makes a folder that belongs to the server user and nobody else can enter.
server_folder()
{
	mkdir -p "$1"
	if [ "$(id -u)" -eq 0 ]; then
		chown postgres:postgres "$1"
	fi
	chmod 700 "$1"
}

cluster_exists()
{
	[ -f "$1/data/PG_VERSION" ]
}

cluster_running()
{
	[ -d "$1/data" ] &&
		as_server_user "$PG_BINDIR/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

# cluster_init DIR [initdb argument...]; lines on stdin go to postgresql.conf.
cluster_init()
{
	local dir=$1

	shift
	[ "${#dir}" -le 80 ] ||
		die "The path $dir is too long for the server's socket." \
			"Take a folder with a path of at most 80 characters."
	server_folder "$dir"
	as_server_user mkdir -p -m 700 "$dir/socket"
	as_server_user "$PG_BINDIR/initdb" --pgdata="$dir/data" --username=postgres \
		--auth=trust --encoding=UTF8 --no-sync "$@" >"$dir.initdb.log" 2>&1 || {
		cat "$dir.initdb.log" >&2
		rm -f "$dir.initdb.log"
		die "initdb could not make a cluster in $dir (its messages stand above)."
	}
	rm -f "$dir.initdb.log"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir/socket'"
		cat
	} | as_server_user tee -a "$dir/data/postgresql.conf" >/dev/null
}

# cluster_start DIR: returns when it accepts connections.
cluster_start()
{
	local dir=$1

	as_server_user "$PG_BINDIR/pg_ctl" -D "$dir/data" -l "$dir/server.log" \
		-o "-p ${CLUSTER_PORT:-5432}" -w -t 120 -s start </dev/null >/dev/null || {
		as_server_user tail -n 20 "$dir/server.log" >&2 || true
		die "The server in $dir did not start; the end of $dir/server.log stands above."
	}
}

# cluster_stop DIR [MODE]: quiet if it does not run.
cluster_stop()
{
	local dir=$1

	cluster_running "$dir" || return 0
	as_server_user "$PG_BINDIR/pg_ctl" -D "$dir/data" -m "${2:-fast}" \
		-w -t 120 -s stop </dev/null || {
		as_server_user tail -n 20 "$dir/server.log" >&2 || true
		die "The server in $dir did not stop within two minutes; the end of $dir/server.log stands above."
	}
}

# cluster_psql DIR DATABASE [psql argument...]
cluster_psql()
{
	local dir=$1 database=$2

	shift 2
	as_server_user env PGAPPNAME="${0##*/}" "$PG_BINDIR/psql" -X \
		-h "$dir/socket" -p "${CLUSTER_PORT:-5432}" -U postgres -d "$database" "$@"
}

# private_installation DIR: copies the installed server (programs, libraries and
# shared files, 50 MB) below DIR, so that `make install DESTDIR=DIR` adds the
# extension to the copy and the machine's own server is left alone.  PostgreSQL
# finds its files relative to its programs.  Sets PG_BINDIR to the copy's.
private_installation()
{
	local root=$1 part path

	for part in bindir pkglibdir sharedir; do
		path=$("$PG_CONFIG" --$part)
		mkdir -p "$root$path"
		cp -R --preserve=mode,links "$path/." "$root$path/"
	done
	PG_BINDIR=$root$("$PG_CONFIG" --bindir)
}
