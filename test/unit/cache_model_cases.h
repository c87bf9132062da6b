/*
 * cache_model_cases.h
 *	  The scenarios of test_cache_model.c.
 *
 * A small value takes 4 words of the arena; a record of more than half a segment takes
 * whole ones.  There is one set of KALAM_CACHE_WAYS entries.
 */

static const Case cases[] = {

	/* ---- a value that is replaced or evicted while it is read ---- */
	{
		.name = "copied while replaced", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 1}},
		.acts = {{{FIND, 0}, {FIND, 0}}, {{PUT, 0, 2}}, {{PUT, 0, 3}}},
	},
	{
		.name = "copied while evicted", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{FIND, 0}, {FIND, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}}},
	},
	{
		.name = "pinned while replaced", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 1}},
		.acts = {{{PIN, 0}}, {{PUT, 0, 2}}, {{PUT, 0, 3}}},
	},
	{
		.name = "pinned while evicted", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 0}, {PIN, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}}},
	},
	{
		.name = "pinned while replaced, then evicted", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 0}}, {{PUT, 0, 2}, {PUT, 4, 1}, {PUT, 6, 1}}},
	},
	{
		.name = "pinned behind room that is used", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 2}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}, {PUT, 3, 1}}},
	},
	{
		.name = "pinned twice while evicted", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 0}}, {{PIN, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 0, 2}}},
	},
	{
		.name = "two who evict", .nsegments = 2, .segment_words = 8, .switches = 2,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{FIND, 0}, {PIN, 0}}, {{PUT, 4, 1}, {PUT, 2, 2}}, {{PUT, 6, 1}, {PUT, 1, 1}}},
	},

	{
		.name = "copied while moved", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 2, 1}, {PUT, 0, 1}, {FIND, 0}},
		.acts = {{{FIND, 0}, {FIND, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 2, 1}}},
	},
	{
		.name = "pinned while moved", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 2, 1}, {PUT, 0, 1}, {FIND, 0}},
		.acts = {{{PIN, 0}, {PIN, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 2, 1}}},
	},
	{
		.name = "copied while an old record of it goes", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 2, 1}, {PUT, 0, 1}, {PUT, 0, 2}, {FIND, 0}},
		.acts = {{{FIND, 0}, {FIND, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 2, 1}}},
	},
	{
		.name = "replaced while moved", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 2, 1}, {PUT, 0, 1}, {FIND, 0}},
		.acts = {{{PUT, 0, 2}, {FIND, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 2, 1}}},
	},
	{
		.name = "two keys of one hash", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.acts = {{{PUT, 0, 1}, {FIND, 1}, {PIN, 1}}, {{PUT, 1, 1}, {FIND, 0}, {PIN, 0}}},
	},

	/* ---- large values: runs of whole segments ---- */
	{
		.name = "large one copied while evicted", .nsegments = 3, .segment_words = 8, .switches = 2,
		.large = 6, .large_words = 3,
		.before = {{PUT, 6, 1}, {FIND, 6}},
		.acts = {{{FIND, 6}}, {{PUT, 0, 1}, {PUT, 2, 1}, {PUT, 4, 1}}, {{PUT, 7, 1}}},
	},
	{
		.name = "large one pinned while evicted", .nsegments = 3, .segment_words = 8, .switches = 2,
		.large = 6, .large_words = 3,
		.before = {{PUT, 6, 1}},
		.acts = {{{PIN, 6}}, {{PUT, 0, 1}, {PUT, 2, 1}, {PUT, 4, 1}}, {{PUT, 7, 1}}},
	},

	{
		.name = "run of two copied while evicted", .nsegments = 7, .segment_words = 8, .switches = 2,
		.large = 6, .large_words = 7,
		.before = {{PUT, 6, 1}, {PUT, 0, 1}, {PUT, 1, 1}, {PUT, 2, 1}, {PUT, 3, 1}, {PUT, 4, 1}, {PUT, 6, 2}},
		.acts = {{{FIND, 6}}, {{PUT, 7, 1}}, {{PUT, 7, 2}, {PUT, 6, 3}}},
	},
	{
		.name = "run of two pinned while evicted", .nsegments = 7, .segment_words = 8, .switches = 2,
		.large = 6, .large_words = 7,
		.before = {{PUT, 6, 1}, {PUT, 0, 1}, {PUT, 1, 1}, {PUT, 2, 1}, {PUT, 3, 1}, {PUT, 4, 1}, {PUT, 6, 2}},
		.acts = {{{PIN, 6}}, {{PUT, 7, 1}, {PUT, 0, 2}}, {{PUT, 7, 2}, {PUT, 6, 3}}},
	},

	/* ---- invalidation by hand ---- */
	{
		.name = "put while invalidated", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 0}},
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{INVALIDATE}}, {{FIND, 0}, {PIN, 0}}},
	},
	{
		.name = "put while cleared", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 0}},
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{CLEAR}}, {{FIND, 0}, {PIN, 0}}},
	},
	{
		.name = "pinned while invalidated", .nsegments = 2, .segment_words = 8, .switches = 2,
		.before = {{PUT, 0, 0}},
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{INVALIDATE}, {INVALIDATE}}, {{PIN, 0}}, {{PIN, 0}}},
	},
	{
		.name = "ticket taken late", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.before = {{PUT, 0, 0}}, .wrong = TICKET_AFTER,
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{INVALIDATE}}, {{FIND, 0}}},
	},
	{
		.name = "put while a tag is swept out", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 1}},
		.acts = {{{PUT, 0, 1}}, {{INVALIDATE_TAG, 0, 1}}, {{FIND, 0}, {PIN, 0}}},
	},
	{
		.name = "put while expired", .nsegments = 2, .segment_words = 8, .switches = 3,
		.before = {{PUT, 0, 1}},
		.acts = {{{PUT, 0, 2}}, {{EXPIRE}}, {{FIND_LATE, 0}, {PIN, 0}}},
	},

	/* ---- stamps: what is read is the database at the stamp ---- */
	{
		.name = "stamps, two readers of a key", .nsegments = 2, .segment_words = 8, .switches = 3,
		.commits = {{.keys = 1}, {.keys = 1}},
		.acts = {{{COMMIT}, {COMMIT}}, {{SNAPSHOT}, {READ, 0}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "stamps, keys and a load", .nsegments = 2, .segment_words = 8, .switches = 3,
		.commits = {{.keys = 3}, {.keys = 2, .load = true}},
		.acts = {{{COMMIT}, {COMMIT}}, {{SNAPSHOT}, {READ, 0}, {READ, 1}}, {{SNAPSHOT}, {READ, 1}}},
	},
	{
		.name = "stamps, old snapshot", .nsegments = 2, .segment_words = 8, .switches = 3,
		.commits = {{.keys = 1}},
		.before = {{SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}, {SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "stamps, newest", .nsegments = 2, .segment_words = 8, .switches = 3,
		.commits = {{.keys = 1}, {.keys = 1}},
		.acts = {{{COMMIT}, {COMMIT}}, {{READ_NEWEST, 0}, {READ_NEWEST, 0}}, {{READ_NEWEST, 0}}},
	},
	{
		.name = "publishes before words are raised", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 1}}, .wrong = PUBLISHES_FIRST,
		.before = {{SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "publishes before words are raised, newest", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 1}}, .wrong = PUBLISHES_FIRST,
		.before = {{READ_NEWEST, 0}},
		.acts = {{{COMMIT}}, {{READ_NEWEST, 0}}},
	},
	{
		.name = "forgets a key", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 3}}, .wrong = FORGETS_A_KEY,
		.before = {{SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "forgets loads", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 3, .load = true}}, .wrong = FORGETS_LOADS,
		.before = {{SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "puts at a later stamp", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 1}}, .wrong = STAMPS_LATE,
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "puts the newest at a later stamp", .nsegments = 2, .segment_words = 8, .switches = ANY,
		.commits = {{.keys = 1}}, .wrong = STAMPS_LATE,
		.acts = {{{COMMIT}}, {{READ_NEWEST, 0}}, {{READ_NEWEST, 0}}},
	},

	/* ---- the same with loads that see old values ---- */
	{
		.name = "old values: copied while evicted", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{FIND, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}}},
	},
	{
		.name = "old values: copied while replaced", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.before = {{PUT, 0, 1}},
		.acts = {{{FIND, 0}}, {{PUT, 0, 2}}, {{PUT, 0, 3}}},
	},
	{
		.name = "old values: pinned while evicted", .nsegments = 2, .segment_words = 8,
		.switches = 3, .stale = 2,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 0}}, {{PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}}},
	},
	{
		.name = "old values: two who evict", .nsegments = 2, .segment_words = 8,
		.switches = 1, .stale = 1,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}, {FIND, 0}},
		.acts = {{{FIND, 0}}, {{PUT, 4, 1}, {PUT, 2, 2}}, {{PUT, 6, 1}, {PUT, 1, 1}}},
	},
	{
		.name = "old values: one writes, another turns over", .nsegments = 2, .segment_words = 8,
		.switches = 1, .stale = 2,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}, {PUT, 4, 1}, {PUT, 6, 1}, {PUT, 1, 1}, {PUT, 1, 2}, {PUT, 3, 1}},
		.acts = {{{PUT, 7, 1}, {FIND, 7}, {FIND, 7}}, {{PUT, 0, 1}, {PUT, 2, 1}, {PUT, 4, 1}, {PUT, 1, 3}}},
	},
	{
		.name = "old values: put while invalidated", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.before = {{PUT, 0, 0}},
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{INVALIDATE}}, {{FIND, 0}, {PIN, 0}}},
	},
	{
		.name = "old values: stamps", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.commits = {{.keys = 1}, {.keys = 1, .load = true}},
		.acts = {{{COMMIT}, {COMMIT}}, {{SNAPSHOT}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "old values: an entry of before a commit", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.commits = {{.keys = 1}, {.keys = 1}},
		.before = {{COMMIT}, {SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}}},
	},
	{
		.name = "old values: stamps, newest", .nsegments = 2, .segment_words = 8,
		.switches = 2, .stale = 2,
		.commits = {{.keys = 1}, {.keys = 1}},
		.acts = {{{COMMIT}, {COMMIT}}, {{READ_NEWEST, 0}}, {{READ_NEWEST, 0}}},
	},
	{
		.name = "old values: published relaxed", .nsegments = 2, .segment_words = 8,
		.switches = ANY, .stale = 2,
		.commits = {{.keys = 1}}, .wrong = PUBLISHES_RELAXED,
		.before = {{SNAPSHOT}, {READ, 0}},
		.acts = {{{COMMIT}}, {{SNAPSHOT}, {READ, 0}}},
	},

	/* ---- the same with deaths ---- */
	{
		.name = "death: copied while evicted", .nsegments = 2, .segment_words = 8,
		.switches = 2, .deaths = 1,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{FIND, 0}}, {{PUT, 4, 1}, {PUT, 1, 1}}, {{PUT, 6, 1}}},
	},
	{
		.name = "death: pinned while evicted", .nsegments = 2, .segment_words = 8,
		.switches = 2, .deaths = 1,
		.before = {{PUT, 0, 1}, {PUT, 2, 1}},
		.acts = {{{PIN, 0}}, {{PUT, 4, 1}, {PUT, 1, 1}}, {{PUT, 6, 1}}},
	},
	{
		.name = "death: large ones", .nsegments = 3, .segment_words = 8,
		.switches = 2, .deaths = 1, .large = 6, .large_words = 3,
		.before = {{PUT, 6, 1}},
		.acts = {{{PIN, 6}}, {{PUT, 0, 1}, {PUT, 2, 1}, {PUT, 4, 1}}, {{PUT, 7, 1}}},
	},
	{
		.name = "death: put while invalidated", .nsegments = 2, .segment_words = 8,
		.switches = 3, .deaths = 1,
		.before = {{PUT, 0, 0}},
		.acts = {{{TICKET}, {PUT, 0, 1}}, {{INVALIDATE}}, {{FIND, 0}, {PIN, 0}}},
	},
	{
		.name = "death: stamps", .nsegments = 2, .segment_words = 8,
		.switches = 3, .deaths = 1,
		.commits = {{.keys = 1}, {.keys = 1}},
		.acts = {{{COMMIT}, {COMMIT}}, {{SNAPSHOT}, {READ, 0}}, {{SNAPSHOT}, {READ, 0}}},
	},
};
