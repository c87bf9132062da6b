# shellcheck shell=bash
# queries.sh
#	The workloads that read, that write single rows or some thousands, and the oldest
#	two loads.  Each gives one number.  Sourced by bench/run.

query_workloads=(copy insert_select disk count sum sum_length filter group count_parallel
	sum_parallel select_c1 select_c8 select_hot_c1
	select_hot_c8 mixed_c8 schema point range newest by_index in join insert_c1 insert_c8
	update_c8 upsert delete_range)

# ---- both kinds of table ----

# create SIDE NAME
create()
{
	case $1 in
		heap) sql -c "DROP TABLE IF EXISTS $2_heap" -c "CREATE TABLE $2_heap (
			k bigint PRIMARY KEY, a int NOT NULL, b text NOT NULL)" ;;
		kalam) sql -c "DROP FOREIGN TABLE IF EXISTS $2_kalam" -c "CREATE FOREIGN TABLE $2_kalam (
			k bigint NOT NULL, a int NOT NULL, b text NOT NULL)
			SERVER kalam OPTIONS (primary_key 'k')" ;;
	esac 2>/dev/null
}

# Messages of conversations, with an index: the tables of newest and by_index.
create_messages()
{
	case $1 in
		heap) sql -c "CREATE TABLE m_heap (c int, id int, a int NOT NULL, b text NOT NULL, PRIMARY KEY (c, id))" \
			-c "CREATE INDEX ON m_heap (a)" ;;
		kalam) sql -c "CREATE FOREIGN TABLE m_kalam (c int NOT NULL, id int NOT NULL, a int NOT NULL, b text NOT NULL)
			SERVER kalam OPTIONS (primary_key 'c, id', index_a 'a')" ;;
	esac
	sql -c "INSERT INTO m_$1 SELECT k % 1000, k, k * 7919 % $((rows / 50)), b
		FROM (SELECT g AS k, md5(g::text) AS b FROM generate_series(1, $rows::bigint) g) t"
}

# Leaves nothing of what was written before to be done during a measurement.
settle()
{
	sql -c "VACUUM ANALYZE t_heap" -c "ANALYZE t_kalam" -c "VACUUM ANALYZE m_heap" -c "ANALYZE m_kalam" -c "CHECKPOINT"
	sql -c "SELECT kalam.flush('t_kalam'), kalam.flush('m_kalam')" >/dev/null
}

# ---- one measurement; each prints a number ----

# rate COUNT STATEMENT [SETTING]: COUNT per second of the statement
rate()
{
	sql -c "SET ${3:-max_parallel_workers_per_gather = 0}" -c '\timing on' -c "$2" |
		awk -v n="$1" '/^Time: / { ms = $2 } END { printf "%.1f\n", n / (ms / 1000) }'
}

# pgbench_run CLIENTS MODE SECONDS OPTION...: transactions per second
pgbench_run()
{
	as_server_user "$PG_BINDIR/pgbench" -h "$cluster/socket" -U postgres -n -M "$2" \
		-c "$1" -j "$(($1 < $(nproc) ? $1 : $(nproc)))" -T "$3" \
		"${@:4}" postgres >"$dir/pgbench.log" 2>&1 || {
		cat "$dir/pgbench.log" >&2
		die "pgbench failed (its messages stand above)"
	}
	awk '/^tps = / { print $3 }' "$dir/pgbench.log"
}

# script NAME: the file that stdin becomes, for pgbench
script()
{
	cat >"$dir/$1.sql"
	chmod 644 "$dir/$1.sql"
	echo "$dir/$1.sql"
}

# pgbench_rate CLIENTS [MODE]: transactions per second; the script on stdin
pgbench_rate()
{
	pgbench_run "$1" "${2:-prepared}" "$seconds" -f "$(script script)"
}

measure_copy()
{
	create "$1" t
	rate "$rows" "COPY t_$1 FROM '$dir/rows.copy'"
}

measure_insert_select()
{
	create "$1" s
	rate 100000 "INSERT INTO s_$1 SELECT k, a, b FROM source"
}

measure_disk()
{
	case $1 in
		heap) sql -c "SELECT pg_total_relation_size('t_heap')" ;;
		kalam) sql -c "SELECT kalam.compact('t_kalam')" >/dev/null
			sql -c "SELECT kalam.table_size('t_kalam')" ;;
	esac
}

measure_count()
{
	rate "$rows" "SELECT count(*) FROM t_$1"
}

measure_count_parallel()
{
	rate "$rows" "SELECT count(*) FROM t_$1" "max_parallel_workers_per_gather TO DEFAULT"
}

measure_sum()
{
	rate "$rows" "SELECT sum(a) FROM t_$1"
}

measure_sum_parallel()
{
	rate "$rows" "SELECT sum(a) FROM t_$1" "max_parallel_workers_per_gather TO DEFAULT"
}

measure_sum_length()
{
	rate "$rows" "SELECT sum(length(b)) FROM t_$1"
}

measure_filter()
{
	rate "$rows" "SELECT count(b) FROM t_$1 WHERE a = 7"
}

measure_group()
{
	rate "$rows" "SELECT count(*) FROM (SELECT a, count(*) FROM t_$1 GROUP BY a) x"
}

measure_join()
{
	rate 100000 "SELECT count(t.b) FROM source s JOIN t_$1 t ON t.k = s.k % $rows + 1"
}

# Statements that change rows are rolled back, so that each run finds the same.
measure_upsert()
{
	rate 10000 "BEGIN; INSERT INTO t_$1 SELECT $rows - 5000 + g, 1, 'new' FROM generate_series(1, 10000) g
		ON CONFLICT (k) DO UPDATE SET a = t_$1.a + 1, b = EXCLUDED.b; ROLLBACK"
}

measure_delete_range()
{
	rate 10000 "BEGIN; DELETE FROM t_$1 WHERE k BETWEEN 1 AND 10000; ROLLBACK"
}

measure_newest()
{
	pgbench_rate 1 <<-SQL
		\set c random(0, 999)
		SELECT * FROM m_$1 WHERE c = :c ORDER BY id DESC LIMIT 20;
	SQL
}

measure_by_index()
{
	pgbench_rate 1 <<-SQL
		\set a random(0, $((rows / 50 - 1)))
		SELECT * FROM m_$1 WHERE a = :a;
	SQL
}

measure_in()
{
	{
		for i in $(seq 20); do
			echo "\\set k$i random(1, $rows)"
		done
		echo "SELECT sum(a), max(b) FROM t_$1 WHERE k IN ($(printf ':k%s, ' $(seq 19)):k20);"
	} | pgbench_rate 1
}

measure_point()
{
	pgbench_rate 1 simple <<-SQL
		\set k random(1, $rows)
		SELECT b FROM t_$1 WHERE k = :k;
	SQL
}

measure_select()
{
	pgbench_rate "$2" <<-SQL
		\set k random(1, $rows)
		SELECT b FROM t_$1 WHERE k = :k;
	SQL
}

# What the hot set's reads find: whatever they leave behind, they have been run before.
hot_select()
{
	script select <<-SQL
		\set k random(1, 10000)
		SELECT b FROM t_$1 WHERE k = :k;
	SQL
}

measure_select_hot()
{
	local select

	select=$(hot_select "$1")
	pgbench_run "$2" prepared 2 -f "$select" >/dev/null
	pgbench_run "$2" prepared "$seconds" -f "$select"
}

measure_mixed()
{
	local select update

	select=$(hot_select "$1")
	update=$(script update <<-SQL
		\set k random(1, 10000)
		UPDATE t_$1 SET a = a + 1 WHERE k = :k;
	SQL
	)
	pgbench_run "$2" prepared 2 -f "$select" >/dev/null
	pgbench_run "$2" prepared "$seconds" -f "$select@19" -f "$update@1"
}

# The session that makes the tables is not the one that reads them, nor the first one.
measure_schema()
{
	local kind read

	case $1 in
		heap) kind='TABLE IF NOT EXISTS schema_heap_%s (k bigint PRIMARY KEY, a int, b text, c numeric)' ;;
		kalam) kind="FOREIGN TABLE IF NOT EXISTS schema_kalam_%s (k bigint NOT NULL, a int, b text, c numeric)
			SERVER kalam OPTIONS (primary_key ''k'')" ;;
	esac
	sql -c "SET client_min_messages = warning" -c "DO \$\$ BEGIN FOR i IN 1 .. 200 LOOP
		EXECUTE format('CREATE $kind', i); END LOOP; END \$\$"
	read="DO \$\$ BEGIN FOR i IN 1 .. 200 LOOP
		EXECUTE format('SELECT FROM schema_$1_%s WHERE k = 1', i); END LOOP; END \$\$"
	rate 200 "$read" >/dev/null
	rate 200 "$read"
}

measure_range()
{
	pgbench_rate 1 <<-SQL
		\set k random(1, $rows - 1000)
		SELECT * FROM t_$1 WHERE k BETWEEN :k AND :k + 999 ORDER BY k;
	SQL
}

measure_insert()
{
	pgbench_rate "$2" <<-SQL
		\set k random(1, 9000000000000000000)
		INSERT INTO i_$1 VALUES (:k, 1, 'a row of some hundred bytes, as it may come from any client that writes one at a time');
	SQL
}

measure_update()
{
	pgbench_rate "$2" <<-SQL
		\set k random(1, $rows)
		UPDATE t_$1 SET a = a + 1 WHERE k = :k;
	SQL
}

# measure WORKLOAD SIDE
measure()
{
	local clients=1

	case $1 in
		*_c[0-9]*) clients=${1##*_c} ;;
	esac
	"measure_${1%_c[0-9]*}" "$2" "$clients"
}

# ---- all of them ----

# make_query_tables WORKLOAD...
make_query_tables()
{
	local side

	note "Preparing $rows rows"
	sql -c "COPY (SELECT g, g % 1000, md5(g::text) || md5((-g)::text) || md5((g * 2)::text)
		FROM generate_series(1, $rows::bigint) g) TO '$cluster/rows.copy'"
	mv "$cluster/rows.copy" "$dir/rows.copy"
	chmod 644 "$dir/rows.copy"
	for side in heap kalam; do
		create $side t
		create $side i
		create_messages $side
		# Every workload needs the rows; copy, if it comes first, leaves them behind.
		[ "$1" = copy ] || sql -c "COPY t_$side FROM '$dir/rows.copy'"
	done
	sql -c "CREATE TABLE source AS SELECT g AS k, (g % 1000)::int AS a, md5(g::text) AS b
		FROM generate_series(1, 100000::bigint) g" -c 'VACUUM ANALYZE source'
}

# run_queries WORKLOAD...: lines of $dir/values: workload, run, side, number
run_queries()
{
	local workload run side sides value

	make_query_tables "$@"
	for workload in "$@"; do
		case $workload in
			copy | insert_select) sql -c CHECKPOINT ;;
			*) settle ;;
		esac
		# Most are about what storage gives: asked again, it would not be asked.
		case $workload in
			*_hot_* | mixed_* | schema) sql -c 'ALTER DATABASE postgres RESET kalam.query_cache' ;;
			*) sql -c 'ALTER DATABASE postgres SET kalam.query_cache = off' ;;
		esac
		for run in $(seq "$runs"); do
			# Who begins changes from run to run.
			sides=(heap kalam)
			[ $((run % 2)) -eq 1 ] || sides=(kalam heap)
			for side in "${sides[@]}"; do
				value=$(measure "$workload" "$side")
				note "$workload, run $run, $side: $value"
				echo "$workload $run $side $value" >>"$dir/values"
			done
		done
	done
}
