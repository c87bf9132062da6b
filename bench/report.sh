# shellcheck shell=bash
# report.sh
#	Tables in Markdown of what was measured.  Sourced by bench/run.

# awk functions that both kinds of table need
report_functions='
	function sorted(values, n,    i, j, t)
	{
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && values[j] < values[j - 1]; j--)
			{ t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
	}
	function median(values, n)
	{
		sorted(values, n)
		return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
	}
	function number(x)
	{
		return x >= 1e6 ? sprintf("%.2f M", x / 1e6) : x >= 1e4 ? sprintf("%.1f k", x / 1e3) : sprintf("%.0f", x)
	}'

# The machine, the versions, and the settings that decide what each side may take.
report_head()
{
	echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
		"$(awk '/^MemTotal/ { printf "%d GB", $2 / 1048576 + 0.5 }' /proc/meminfo);" \
		"PostgreSQL $(sql -c 'SHOW server_version' | sed 's/ .*//')," \
		"RocksDB $(dpkg-query -W -f '${Version}' librocksdb-dev 2>/dev/null | sed 's/-.*//');" \
		"$runs runs, in turns. Heap: $(report_settings "name IN ('shared_buffers', 'wal_level',
			'fsync', 'synchronous_commit', 'full_page_writes', 'wal_compression', 'max_wal_size', 'checkpoint_timeout')")." \
		"Kalam: $(report_settings "name LIKE 'kalam.%' AND (unit = 'kB' OR name ~ '_(threads|jobs)$')")."
}

# report_settings CONDITION
report_settings()
{
	sql -c "SELECT string_agg('\`' || name || '\` ' || current_setting(name), ', ' ORDER BY name)
		FROM pg_settings WHERE $1"
}

# report_queries WORKLOAD...: of $dir/values
report_queries()
{
	echo
	echo "$rows rows of $(awk -v b="$(wc -c <"$dir/rows.copy")" -v r="$rows" 'BEGIN { printf "%d", b / r }')" \
		"bytes of text; $seconds s a run where pgbench measures."
	echo
	echo '| workload | kalam | heap | ratio: median (min – max) |'
	echo '| --- | ---: | ---: | ---: |'
	awk -v order="$*" "$report_functions"'
		{ v[$1, $2, $3] = $4; if ($2 > runs) runs = $2 }
		END {
			unit["disk"] = " bytes"
			of_rows = "copy insert_select count sum count_parallel sum_length filter group sum_parallel join upsert delete_range"
			n = split(of_rows, w, " ")
			for (i = 1; i <= n; i++)
				unit[w[i]] = " rows/s"
			n = split(order, w, " ")
			for (i = 1; i <= n; i++)
			{
				for (r = 1; r <= runs; r++)
				{
					k[r] = v[w[i], r, "kalam"] + 0
					h[r] = v[w[i], r, "heap"] + 0
					q[r] = k[r] / h[r]
				}
				u = w[i] in unit ? unit[w[i]] : " /s"
				middle = median(q, runs)
				printf "| %s | %s%s | %s%s | %.2f (%.2f – %.2f) |\n", w[i], number(median(k, runs)), u, \
					number(median(h, runs)), u, middle, q[1], q[runs]
			}
		}' "$dir/values"
}

# report_loads WORKLOAD...: of $dir/loads, whose columns are workload, run, side, rows
# per second, and what bench/watch prints
report_loads()
{
	echo
	echo "Loads of $rows rows of $load_row_bytes bytes of text. Rows per second:"
	echo
	echo '| workload | kalam | heap | unlogged | parser | to heap: median (min – max) | to unlogged | to parser |'
	echo '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
	awk -v order="$*" "$report_functions"'
		{ v[$1, $2, $3] = $4; if ($2 > runs) runs = $2 }
		END {
			n = split(order, w, " ")
			for (i = 1; i <= n; i++)
			{
				for (r = 1; r <= runs; r++)
				{
					k[r] = v[w[i], r, "kalam"] + 0
					h[r] = v[w[i], r, "heap"] + 0
					u[r] = v[w[i], r, "unlogged"] + 0
					to_h[r] = k[r] / h[r]
					to_u[r] = k[r] / u[r]
					p[r] = v[w[i], r, "parser"] + 0
					to_p[r] = p[r] > 0 ? k[r] / p[r] : 0
				}
				parser = p[1] > 0 ? number(median(p, runs)) : "–"
				to_parser = p[1] > 0 ? sprintf("%.2f", median(to_p, runs)) : "–"
				middle = median(to_h, runs)
				printf "| %s | %s | %s | %s | %s | %.2f (%.2f – %.2f) | %.2f | %s |\n", w[i], number(median(k, runs)), \
					number(median(h, runs)), number(median(u, runs)), parser, middle, to_h[1], to_h[runs], median(to_u, runs), to_parser
			}
		}' "$dir/loads"
	echo
	echo 'What they took: medians of kalam / heap / unlogged; memory, the most on disk, and how often the result that is: the worst run.'
	echo
	echo '| workload | processor, s | sessions, MB | storage, MB | written, MB | left on disk, MB | most on disk, MB | most / left |'
	echo '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
	awk -v order="$*" "$report_functions"'
		# of a workload and side the median of a column, or its highest value
		function middle(w, side, column,    r, values)
		{
			for (r = 1; r <= runs; r++)
				values[r] = v[w, r, side, column] + 0
			return median(values, runs)
		}
		function highest(w, side, column,    r, most)
		{
			for (r = 1; r <= runs; r++)
				if (v[w, r, side, column] + 0 > most + 0)
					most = v[w, r, side, column] + 0
			return most + 0
		}
		{
			for (c = 5; c <= NF; c++)
				v[$1, $2, $3, c] = $c
			v[$1, $2, $3, "times"] = $10 > 0 ? $9 / $10 : 0
			if ($2 > runs)
				runs = $2
		}
		END {
			n = split(order, w, " ")
			n_sides = split("kalam heap unlogged", sides, " ")
			for (i = 1; i <= n; i++)
			{
				cpu = session = written = left = most = times = ""
				for (s = 1; s <= n_sides; s++)
				{
					slash = s > 1 ? " / " : ""
					cpu = cpu slash sprintf("%.2f", middle(w[i], sides[s], 5))
					written = written slash sprintf("%.0f", middle(w[i], sides[s], 6) / 1e6)
					session = session slash sprintf("%.0f", highest(w[i], sides[s], 7) / 1024)
					left = left slash sprintf("%.0f", middle(w[i], sides[s], 10) / 1e6)
					most = most slash sprintf("%.0f", highest(w[i], sides[s], 9) / 1e6)
					times = times slash sprintf("%.2f", highest(w[i], sides[s], "times"))
				}
				printf "| %s | %s | %s | %.0f | %s | %s | %s | %s |\n", w[i], cpu, session, \
					highest(w[i], "kalam", 8) / 1024, written, left, most, times
			}
		}' "$dir/loads"
}
