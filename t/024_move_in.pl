# A store is moved from one server to another, and its tables come with it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $from = new_server('from', conf => "max_prepared_transactions = 5\n");
my ($ret, $out, $err);

$from->safe_psql('postgres', q(
	CREATE DATABASE second;
	CREATE ROLE owner;
	GRANT ALL ON SCHEMA public TO owner;
	GRANT USAGE ON FOREIGN SERVER kalam TO owner;
	CREATE TYPE mood AS ENUM ('sad', 'ok');
	CREATE FOREIGN TABLE plain (gone int, k int, v text COLLATE "C", n numeric(6, 2), a int[]) SERVER kalam OPTIONS (primary_key 'v DESC, k');
	INSERT INTO plain SELECT -g, g, 'row ' || g, g / 3.0, ARRAY[g, g + 1] FROM generate_series(1, 3000) g;
	ALTER FOREIGN TABLE plain DROP COLUMN gone;
	CREATE FOREIGN TABLE rowids (k int) SERVER kalam;
	INSERT INTO rowids SELECT generate_series(1, 100);
	CREATE FOREIGN TABLE moods (k int, m mood) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO moods VALUES (1, 'ok');
	CREATE FOREIGN TABLE kept (k int, v text) SERVER kalam OPTIONS (primary_key 'k', on_drop 'keep');
	INSERT INTO kept VALUES (1, 'kept');
	DROP FOREIGN TABLE kept;
	SET ROLE owner;
	CREATE FOREIGN TABLE owned (k int) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO owned VALUES (7)));
$from->safe_psql('second', q(
	CREATE EXTENSION kalam_fdw;
	CREATE FOREIGN TABLE there (k int, v varchar(20)) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO there VALUES (1, 'of the second')));
my $sum = 'SELECT count(*), sum(hashtextextended(p::text, 0)) FROM plain p';
my $wanted = $from->safe_psql('postgres', $sum);

sub move
{
	my ($to) = @_;

	$from->stop;
	system('rm', '-rf', $to->data_dir . '/kalam') == 0 or die;
	system('cp', '-r', $from->data_dir . '/kalam', $to->data_dir . '/kalam') == 0 or die;
}

sub refused
{
	my ($node, $pattern, $what) = @_;

	ok(wait_until(10, sub { ($ret, $out, $err) = $node->psql('postgres', 'CREATE FOREIGN TABLE x (k int) SERVER kalam'); $err =~ $pattern }), $what)
	  or diag($err);
}

# ---- transactions that the other server has not ended ----

$from->safe_psql('postgres', q(BEGIN; INSERT INTO owned VALUES (8); PREPARE TRANSACTION 'open'));
my $to = new_server('to', no_start => 1);
move($to);
$to->start;
$to->safe_psql('postgres', 'CREATE EXTENSION kalam_fdw; CREATE TABLE heap AS SELECT 1 AS k; CREATE ROLE owner; CREATE ROLE other; GRANT USAGE ON FOREIGN SERVER kalam TO owner, other; GRANT ALL ON SCHEMA public TO PUBLIC');
refused($to, qr/belongs to another server \(system identifier \d+, this server has \d+\); to move its tables to this one, create the file ".*ADOPT"/, 'a store of another server is refused');
append_to_file($to->data_dir . '/kalam/ADOPT', '');
refused($to, qr/could not be opened: the store has 1 transactions that its server had prepared/, 'so is one with open transactions');
is($to->safe_psql('postgres', 'SELECT k FROM heap'), '1', 'the server works');

# ---- moved in ----

$from->start;
# (whoever reads waits until storage, which has just started, has applied it)
$from->safe_psql('postgres', "COMMIT PREPARED 'open'; SELECT count(*) FROM owned");
$to->stop;
move($to);
append_to_file($to->data_dir . '/kalam/ADOPT', '');
$to->start;
ok(wait_until(10, sub { storage_answers($to) }), 'with the operator\'s word it is opened');
ok(!-e $to->data_dir . '/kalam/ADOPT', 'which holds once');
is($to->safe_psql('postgres', 'SELECT count(*) FROM kalam.tables'), '0', 'no table of this server has the rows');
is($to->safe_psql('postgres', q(SELECT string_agg(database || '.' || name, ' ' ORDER BY database, name) FROM kalam.orphans)),
	'postgres.kept postgres.moods postgres.owned postgres.plain postgres.rowids second.there', 'they have no owner');

# ids of the other server mean nothing: new tables, which may get them, are empty
$to->safe_psql('postgres', join(';', map { "CREATE FOREIGN TABLE new$_ (k int) SERVER kalam" } 1 .. 10));
is($to->safe_psql('postgres', join(' UNION ALL ', map { "SELECT * FROM new$_" } 1 .. 10)), '', 'new tables are empty');

($ret, $out, $err) = $to->psql('postgres', 'SET ROLE owner; IMPORT FOREIGN SCHEMA public FROM SERVER kalam INTO public');
is($ret, 0, 'a role of that name may import all it has');
is($to->safe_psql('postgres', 'SELECT count(*) FROM pg_foreign_table'), '10', 'which is nothing');
($ret, $out, $err) = $to->psql('postgres', 'SET ROLE owner; CREATE FOREIGN TABLE owned (k int) SERVER kalam OPTIONS (table_name $$owned$$, primary_key $$k$$)');
like($err, qr/must be owner of stored table "owned"\n.*It came from another server: only a superuser/, 'for it is another role');
($ret, $out, $err) = $to->psql('postgres', 'IMPORT FOREIGN SCHEMA public FROM SERVER kalam INTO public');
like($err, qr/column "m" of stored table "moods" cannot be attached to this database\n.*type public\.mood/, 'an enum is not what it was');
$to->safe_psql('postgres', 'IMPORT FOREIGN SCHEMA public EXCEPT (moods) FROM SERVER kalam INTO public');
is($to->safe_psql('postgres', $sum), $wanted, 'the rows are there');
is($to->safe_psql('postgres', 'SELECT v FROM plain WHERE v >= $$row 2999$$ ORDER BY v DESC LIMIT 1'), 'row 999', 'in their order');
is($to->safe_psql('postgres', 'SELECT string_agg(k::text, $$ $$ ORDER BY k) FROM owned'), '7 8', 'with what was prepared');
is($to->safe_psql('postgres', 'SELECT v FROM kept'), 'kept', 'and what was kept');
$to->safe_psql('postgres', 'INSERT INTO rowids SELECT generate_series(101, 200)');
is($to->safe_psql('postgres', 'SELECT count(*), sum(k) FROM rowids'), '200|20100', 'row ids go on');
$to->safe_psql('postgres', 'IMPORT FOREIGN SCHEMA public FROM SERVER kalam INTO public OPTIONS (database $$second$$)');
is($to->safe_psql('postgres', 'SELECT v FROM there'), 'of the second', 'from another database');
$to->restart;
ok(wait_until(10, sub { storage_answers($to) }), 'a restart');
is($to->safe_psql('postgres', $sum), $wanted, 'and they stay');
is($to->safe_psql('postgres', 'SELECT kalam.drop_orphan(object_id) IS NULL FROM kalam.orphans'), 'f', 'what cannot be attached can be dropped');
is($to->safe_psql('postgres', 'SELECT count(*) FROM kalam.orphans'), '0', 'and is gone');

# ---- another database of a server; and back ----

$to->safe_psql('postgres', q(
	CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
	CREATE DATABASE next;
	CREATE TYPE mood AS ENUM ('sad', 'ok');
	CREATE FOREIGN TABLE moods (k int, m mood) SERVER kalam OPTIONS (on_drop 'keep');
	DROP FOREIGN TABLE moods;
	ALTER FOREIGN TABLE plain OPTIONS (ADD on_drop 'keep');
	DROP FOREIGN TABLE plain));
$to->safe_psql($_, 'CREATE EXTENSION kalam_fdw') foreach 'latin', 'next';
my $import = 'IMPORT FOREIGN SCHEMA public LIMIT TO (%s) FROM SERVER kalam INTO public OPTIONS (database $$postgres$$)';
($ret, $out, $err) = $to->psql('latin', sprintf($import, 'plain'));
like($err, qr/cannot be attached to this database\n.*encoding is \w+, that of the database LATIN1/, 'another encoding is refused');
($ret, $out, $err) = $to->psql('next', sprintf($import, 'moods'));
like($err, qr/column "m" of stored table "moods" cannot be attached/, 'so are types of another database');
$to->safe_psql('next', sprintf($import, 'plain'));
is($to->safe_psql('next', $sum), $wanted, 'rows move from database to database');
$to->safe_psql('postgres', 'DROP DATABASE next');
is($to->safe_psql('postgres', 'SELECT count(*) FROM kalam.orphans'), '0', 'and go with it');
$from->start;
is($from->safe_psql('postgres', $sum), $wanted, 'the server that was copied from has its own');

$from->stop;
$to->stop;
done_testing();
