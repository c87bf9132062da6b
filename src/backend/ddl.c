/*
 * ddl.c
 *	  Notices CREATE, ALTER and DROP of foreign tables.
 *
 * object_access_hook notes which relations a statement touched.  When the
 * utility statement ends, or before commit, reconcile.c compares each with the
 * store's record of it.  Drops are handed to it at once.  Notes belong to the
 * subtransaction that made them and go with it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "src/backend/ddl.h"
#include "src/backend/indoubt.h"
#include "src/backend/reconcile.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/transaction.h"

/* A relation that the running statement has touched. */
typedef struct Touched
{
	Oid			relid;
	Oid			constraint;		/* of which this is one, else invalid */
	SubTransactionId sub;
	bool		validate;		/* rows must be checked */
} Touched;

static List *touched = NIL;		/* in TopMemoryContext */

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void
touch(Oid relid, Oid constraint, bool validate)
{
	MemoryContext old;
	Touched    *t;
	ListCell   *lc;

	foreach(lc, touched)
	{
		t = lfirst(lc);
		if (t->relid == relid && t->constraint == constraint &&
			t->sub == GetCurrentSubTransactionId())
		{
			t->validate |= validate;
			return;
		}
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	t = palloc(sizeof(Touched));
	t->relid = relid;
	t->constraint = constraint;
	t->sub = GetCurrentSubTransactionId();
	t->validate = validate;
	touched = lappend(touched, t);
	MemoryContextSwitchTo(old);
}

/*
 * A new sibling narrows what the default partition, and partitions of that, may
 * hold.
 */
static void
touch_default_partition(Oid relid)
{
	Oid			default_oid;
	ListCell   *lc;

	if (!get_rel_relispartition(relid))
		return;
	default_oid = get_default_partition_oid(get_partition_parent(relid, true));
	if (!OidIsValid(default_oid) || default_oid == relid)
		return;
	foreach(lc, find_all_inheritors(default_oid, NoLock, NULL))
	{
		/* core forgets what the default partition may hold, not what its parts may */
		CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
		RelationCacheInvalidateEntry(lfirst_oid(lc));
		touch(lfirst_oid(lc), InvalidOid, true);
	}
}

/* The table that a new or altered constraint belongs to; invalid if none. */
static Oid
constraint_relation(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			relid = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
		ReleaseSysCache(tuple);
	}
	return relid;
}

static void
process_touched(void)
{
	bool		pushed = false;

	if (touched == NIL)
		return;
	CommandCounterIncrement();
	/* reconciling one may touch others, at the end of the list */
	while (touched != NIL)
	{
		Touched    *t = linitial(touched);
		Oid			relid = OidIsValid(t->constraint) ? constraint_relation(t->constraint) : t->relid;
		bool		validate = t->validate;

		touched = list_delete_first(touched);
		pfree(t);
		if (!OidIsValid(relid) || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			continue;
		if (!validate)
			touch_default_partition(relid);
		if (!kalam_is_table(relid))
			continue;
		if (!pushed && !ActiveSnapshotSet())
		{
			PushActiveSnapshot(GetTransactionSnapshot());
			pushed = true;
		}
		if (kalam_segment == NULL)
			continue;			/* its first use says what is missing */
		kalam_reconcile(relid, validate);
	}
	if (pushed)
		PopActiveSnapshot();
}

/* ---- hooks ---- */

static void
kalam_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);

	if (IsBootstrapProcessingMode() || !IsUnderPostmaster)
		return;
	switch (access)
	{
		case OAT_POST_CREATE:
		case OAT_POST_ALTER:
			if (class_id == RelationRelationId || class_id == ForeignTableRelationId)
			{
				/* temporary and internal relations come by the thousand */
				if (object_id >= FirstNormalObjectId)
					touch(object_id, InvalidOid, false);
			}
			else if (class_id == ConstraintRelationId)
				touch(InvalidOid, object_id, true);
			else if (class_id == DatabaseRelationId && access == OAT_POST_CREATE &&
					 kalam_segment != NULL &&
					 atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY)
				/* what another of this id has left: ids are used again */
				kalam_reconcile_drop_database(object_id);
			break;

		case OAT_DROP:
			if (class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_FOREIGN_TABLE &&
				kalam_is_table(object_id))
			{
				if (sub_id == 0)
					kalam_reconcile_drop_table(object_id);
				else
				{
					if (!(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL))
						kalam_reconcile_check_column_drop(object_id, sub_id);
					touch(object_id, InvalidOid, false);
				}
			}
			else if (class_id == DatabaseRelationId)
				kalam_reconcile_drop_database(object_id);
			break;

		default:
			break;
	}
}

/* Rows of a table that becomes a partition must lie in its bounds. */
static void
note_attached_partitions(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			relid;
		ListCell   *child;

		if (cmd->subtype != AT_AttachPartition)
			continue;
		relid = RangeVarGetRelid(((PartitionCmd *) cmd->def)->name, NoLock, true);
		if (!OidIsValid(relid))
			continue;
		CommandCounterIncrement();
		touch_default_partition(relid);
		foreach(child, find_all_inheritors(relid, NoLock, NULL))
			touch(lfirst_oid(child), InvalidOid, true);
	}
}

static void
check_altered_domain(AlterDomainStmt *stmt)
{
	/* SET NOT NULL; ADD CONSTRAINT, unless NOT VALID; VALIDATE CONSTRAINT */
	if (stmt->subtype == 'O' || stmt->subtype == 'V' ||
		(stmt->subtype == 'C' && !castNode(Constraint, stmt->def)->skip_validation))
	{
		CommandCounterIncrement();
		kalam_validate_domain(typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName)));
	}
}

static void
kalam_ProcessUtility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;

	/* NOTIFY does work after our commit that can fail */
	if (IsA(stmt, NotifyStmt))
		kalam_transaction_force_two_phase();

	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);

	if (!IsTransactionState())
		return;
	if (IsA(stmt, TransactionStmt) &&
		(((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED ||
		 ((TransactionStmt *) stmt)->kind == TRANS_STMT_ROLLBACK_PREPARED))
		kalam_indoubt_finish_prepared();
	if (IsA(stmt, VariableSetStmt) && ((VariableSetStmt *) stmt)->kind == VAR_SET_MULTI &&
		strcmp(((VariableSetStmt *) stmt)->name, "TRANSACTION SNAPSHOT") == 0)
		kalam_snapshot_import(strVal(&linitial_node(A_Const, ((VariableSetStmt *) stmt)->args)->val));
	if (IsA(stmt, AlterTableStmt))
	{
		note_attached_partitions((AlterTableStmt *) stmt);
		if (kalam_segment != NULL)
			kalam_check_altered_row_type((AlterTableStmt *) stmt);
	}
	process_touched();
	if (IsA(stmt, AlterDomainStmt) && kalam_segment != NULL)
		check_altered_domain((AlterDomainStmt *) stmt);
}

void
kalam_ddl_install(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = kalam_object_access;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = kalam_ProcessUtility;
}

bool
kalam_ddl_here(void)
{
	return touched != NIL || kalam_reconcile_here();
}

/* ---- ends of transactions ---- */

void
kalam_ddl_at_precommit(void)
{
	process_touched();
}

static void
forget_touched(SubTransactionId sub)
{
	ListCell   *lc;

	foreach(lc, touched)
	{
		Touched    *t = lfirst(lc);

		if (sub == InvalidSubTransactionId || t->sub == sub)
		{
			touched = foreach_delete_current(touched, lc);
			pfree(t);
		}
	}
}

void
kalam_ddl_at_xact_end(void)
{
	forget_touched(InvalidSubTransactionId);
	kalam_reconcile_at_xact_end();
}

void
kalam_ddl_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	ListCell   *lc;

	foreach(lc, touched)
		if (((Touched *) lfirst(lc))->sub == sub)
			((Touched *) lfirst(lc))->sub = parent;
}

void
kalam_ddl_at_subabort(SubTransactionId sub)
{
	forget_touched(sub);
	kalam_reconcile_at_subabort();
}
