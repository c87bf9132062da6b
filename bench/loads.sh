# shellcheck shell=bash
# loads.sh
#	The workloads that load: COPY, INSERT … SELECT, INSERT … VALUES, by one client
#	and by several at once.  Sourced by bench/run; takes from it rows, runs, dir,
#	cluster, note, sql.
#
# Three sides take turns: a kalam table, a heap table with the same keys and
# indexes, and the same heap UNLOGGED, which is what a heap table could do at best.
# Each load goes into an empty table whose keys and indexes exist.  It is watched
# from before its first row until nothing of it is left to be written: behind the
# statement, which alone is timed, come a flush (of kalam) and a CHECKPOINT, and the
# watcher waits until the server rests.

# Their names, and those that the word `loads` stands for.
load_workloads=(load_{text,csv,binary}_{sorted,shuffled}_{0,1,2} load_select_{100k,1m} load_values
	load_clients_{2,4}_{sorted,shuffled})
some_loads=(load_text_{sorted,shuffled}_{0,2} load_{csv,binary}_sorted_0 load_select_{100k,1m} load_values
	load_clients_{2,4}_shuffled)

# ---- rows, the same in every run ----

# About 110 bytes each as text.  The columns of keys and indexes: k ascends, account
# has a hundred thousand values, name is unique; both in no order.
load_columns='k bigint NOT NULL, made timestamptz NOT NULL, seen timestamp NOT NULL, account int NOT NULL,
	amount numeric(12, 2) NOT NULL, rate float8 NOT NULL, name text NOT NULL, note text NOT NULL'

# The table load_rows, which INSERT … SELECT reads and files are written from; sets load_row_bytes.
make_load_rows()
{
	note "Preparing $rows rows to load"
	sql -c "CREATE UNLOGGED TABLE load_rows ($load_columns)" -c "INSERT INTO load_rows
		SELECT g, timestamptz '2020-01-01 00:00:00+00' + g * interval '7 s',
			timestamp '2021-01-01' + (hash % 94608000000) * interval '1 ms',
			hash % 100000, (hash >> 8) % 10000000 / 100.0, (hash >> 16) % 80000 / 8.0,
			lpad(to_hex(g * 2654435761 % 4294967296), 8, '0'), left(md5(g::text), 22)
		FROM (SELECT g, hashint8extended(g, 1) & 9223372036854775807 AS hash
			FROM generate_series(1, $rows::bigint) g) x" \
		-c 'VACUUM ANALYZE load_rows'
	load_row_bytes=$(sql -c "COPY (SELECT * FROM load_rows WHERE k > $rows - 10000) TO STDOUT" | wc -c)
	load_row_bytes=$(((load_row_bytes + 5000) / 10000))
}

# load_file FORMAT ORDER: sets file to their name; made when first asked for
load_file()
{
	local order=k

	[ "$2" = sorted ] || order='hashint8extended(k, 2), k'
	file=$dir/rows.$1.$2
	[ ! -e "$file" ] || return 0
	sql -c "SET work_mem = '512MB'" \
		-c "COPY (SELECT * FROM load_rows ORDER BY $order) TO '$cluster/rows' (FORMAT $1)"
	mv "$cluster/rows" "$file"
	chmod 644 "$file"
}

# load_parts CLIENTS ORDER: sets file to what the names of its parts begin with
load_parts()
{
	load_file text "$2"
	if [ ! -e "$file.$1.0" ]; then
		split -d -a 1 -n "l/$1" "$file" "$file.$1."
		chmod 644 "$file.$1."*
	fi
	file=$file.$1.
}

# Statements of a thousand rows each, for a table that psql's variable names.
load_values_file()
{
	file=$dir/values.sql
	[ ! -e "$file" ] || return 0
	sql >"$file" -c "SELECT 'INSERT INTO :table VALUES ' || string_agg(
			format('(%s,%L,%L,%s,%s,%s,%L,%L)', k, made, seen, account, amount, rate, name, note), ',' ORDER BY k) || ';'
		FROM load_rows WHERE k <= $1 GROUP BY (k - 1) / 1000 ORDER BY min(k)"
	chmod 644 "$file"
}

# ---- tables ----

# create_load_table SIDE INDEXES
create_load_table()
{
	local options="primary_key 'k'"

	case $1 in
		kalam)
			[ "$2" -lt 1 ] || options+=", index_account 'account'"
			[ "$2" -lt 2 ] || options+=", unique_name 'name'"
			sql -c "CREATE FOREIGN TABLE load_t ($load_columns) SERVER kalam OPTIONS ($options)"
			;;
		*)
			sql -c "CREATE $([ "$1" = heap ] || echo UNLOGGED) TABLE load_t ($load_columns, PRIMARY KEY (k))"
			[ "$2" -lt 1 ] || sql -c 'CREATE INDEX ON load_t (account)'
			[ "$2" -lt 2 ] || sql -c 'CREATE UNIQUE INDEX ON load_t (name)'
			;;
	esac
}

drop_load_table()
{
	sql -c "DROP $([ "$1" != kalam ] || echo FOREIGN) TABLE load_t"
}

# Until files that went with other tables are gone.
settle_files()
{
	local before='' now

	sql -c CHECKPOINT
	for _ in $(seq 50); do
		# (files go while it counts, and one folder is there at times only)
		now=$({ du -sbc "${load_folders[@]}" 2>/dev/null || true; } | tail -n 1)
		[ "$now" != "$before" ] || return 0
		before=$now
		sleep 0.1
	done
}

# ---- one load ----

# milliseconds COMMAND...: what psql's \timing said in all
milliseconds()
{
	"$@" | awk '/^Time: / { ms += $2 } END { printf "%.3f\n", ms }'
}

# load_client INPUT-OPTION VALUE: a session that loads
load_client()
{
	milliseconds sql -v table=load_t -c '\timing on' "$1" "$2"
}

# Loads; sets count to the rows and ms to the milliseconds.
load_by_copy()
{
	count=$rows
	ms=$(load_client -c "COPY load_t FROM '$file' (FORMAT $1)")
}

load_by_select()
{
	ms=$(load_client -c "INSERT INTO load_t SELECT * FROM load_rows WHERE k <= $count")
}

load_by_values()
{
	ms=$(load_client -f "$file")
}

# As many as there are parts, at once: the slowest one's time.
load_by_clients()
{
	local client pids=()

	count=$rows
	for client in $(seq 0 $(($1 - 1))); do
		load_client -c "COPY load_t FROM '$file$client'" >"$dir/client.$client" &
		pids+=($!)
	done
	for client in "${pids[@]}"; do
		wait "$client"
	done
	ms=$(sort -n "$dir"/client.* | tail -n 1)
	rm "$dir"/client.*
}

# measure_load WORKLOAD SIDE RUN: a line of $dir/loads; the columns are named in report.sh
measure_load()
{
	local workload=$1 side=$2 run=$3 indexes=0 how count ms file stop used found parts

	IFS=_ read -r -a parts <<<"$workload"
	case $workload in
		load_select_*)
			count=$((${parts[2]%%[km]} * $([ "${parts[2]%k}" = "${parts[2]}" ] && echo 1000000 || echo 1000)))
			how=(load_by_select)
			;;
		load_values) how=(load_by_values) count=100000 ;;
		load_clients_*) how=(load_by_clients "${parts[2]}") && load_parts "${parts[2]}" "${parts[3]}" ;;
		*) how=(load_by_copy "${parts[1]}") indexes=${parts[3]} && load_file "${parts[1]}" "${parts[2]}" ;;
	esac
	[ "${count:=$rows}" -le "$rows" ] || count=$rows
	[ "$workload" != load_values ] || load_values_file "$count"

	create_load_table "$side" "$indexes"
	settle_files
	coproc watch { bench/watch "$postmaster" "${load_folders[@]}"; }
	read -r -u "${watch[0]}" _
	"${how[@]}"
	[ "$side" != kalam ] || sql -c "SELECT kalam.flush('load_t')" >/dev/null
	sql -c CHECKPOINT
	stop=${watch[1]}
	exec {stop}>&-
	read -r -u "${watch[0]}" used
	# shellcheck disable=SC2154
	wait "$watch_PID"

	found=$(sql -c "SELECT count(*) FROM load_t WHERE k IN (1, $((count / 2)), $count)")
	[ "$found" -eq 3 ] || die "$workload: rows are missing in the table of $side"
	drop_load_table "$side"
	used="$(awk -v n="$count" -v ms="$ms" 'BEGIN { printf "%.1f", n / ms * 1000 }') $used"
	note "$workload, run $run, $side: $used"
	[ "$run" -eq 0 ] || echo "$workload $run $side $used" >>"$dir/loads"
}

# measure_parser WORKLOAD RUN: how fast COPY reads and parses the rows, if it does
# nothing else with them; a line of $dir/loads for the side "parser"
measure_parser()
{
	local parts file ms rate

	IFS=_ read -r -a parts <<<"$1"
	load_file "${parts[1]}" "${parts[2]}"
	create_load_table heap 0
	ms=$(load_client -c "COPY load_t FROM '$file' (FORMAT ${parts[1]}) WHERE false")
	drop_load_table heap
	rate=$(awk -v n="$rows" -v ms="$ms" 'BEGIN { printf "%.1f", n / ms * 1000 }')
	note "$1, run $2, parser: $rate"
	echo "$1 $2 parser $rate" >>"$dir/loads"
}

# run_loads WORKLOAD...
run_loads()
{
	local workload run turn sides=(heap unlogged kalam)

	postmaster=$(head -n 1 "$cluster/data/postmaster.pid")
	load_folders=("$cluster/data/base/$(sql -c "SELECT oid FROM pg_database WHERE datname = 'postgres'")"
		"$cluster/data/base/pgsql_tmp" "$cluster/data/kalam")
	make_load_rows
	# A load of each side that does not count: pages of memory that the server
	# has not touched yet cost more.
	for turn in "${sides[@]}"; do
		measure_load "$1" "$turn" 0
	done
	for workload in "$@"; do
		for run in $(seq "$runs"); do
			# Who begins changes from run to run.
			for turn in 0 1 2; do
				measure_load "$workload" "${sides[(turn + run) % 3]}" "$run"
			done
			case $workload in
				load_*_*_[012]) measure_parser "$workload" "$run" ;;
			esac
		done
	done
	sql -c 'DROP TABLE load_rows'
	rm -f "$dir"/rows.* "$dir/values.sql"
}
