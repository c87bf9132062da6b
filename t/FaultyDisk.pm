# A server on a disk that forgets what was not synced, fills up, or breaks:
# builds test/lib/faulty_disk.c and starts servers under it.
package FaultyDisk;

use strict;
use warnings;
use Fcntl ':flock';
use File::Find;
use FindBin;
use PostgreSQL::Test::Utils;
use Time::HiRes 'stat';

# undef if there is no compiler
sub new
{
	my ($class, $node) = @_;
	my $tmp = PostgreSQL::Test::Utils::tempdir();
	my $source = "$FindBin::RealBin/../test/lib/faulty_disk.c";
	my $self = bless { node => $node, dir => $tmp, library => "$tmp/faulty_disk.so",
		control => "$tmp/control" }, $class;

	system($ENV{CC} || 'cc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC',
		'-o', $self->{library}, $source, '-ldl') == 0 or return undef;
	append_to_file($self->{control}, '0');
	return $self;
}

# Starts the server; %env says which files are concerned (see faulty_disk.c).
sub start
{
	my ($self, %env) = @_;

	local %ENV = (%ENV, %env, LD_PRELOAD => $self->{library}, FAULTY_CONTROL => $self->{control});
	return $self->{node}->start(fail_ok => 1);
}

# What fails from now on.
sub fails
{
	my ($self, $mode) = @_;

	open(my $f, '+<', $self->{control}) or die;
	syswrite($f, $mode) == 1 or die;
	close($f);
}

# ---- power loss ----

# The server is not running: all that lies there now is on disk.
sub begin_round
{
	my ($self) = @_;
	my $root = $self->{node}->data_dir;

	$self->{shadow} = "$self->{dir}/shadow";
	$self->{base} = "$self->{dir}/base";
	system('rm', '-rf', $self->{shadow}, $self->{base}) == 0 or die;
	mkdir($self->{shadow}) or die;
	system('cp', '-a', $root, $self->{base}) == 0 or die;
	return (FAULTY_ROOT => $root, FAULTY_SHADOW => $self->{shadow});
}

sub contents
{
	my ($path) = @_;

	open(my $f, '<:raw', $path) or return undef;
	local $/;
	my $bytes = <$f>;
	return defined $bytes ? $bytes : '';
}

# All processes are dead.  Each file becomes what a power loss may leave: what
# was synced, what was written, or some sectors of either.  How many changed?
sub lose_power
{
	my ($self) = @_;
	my $root = $self->{node}->data_dir;
	my $changed = 0;

	find({ no_chdir => 1, wanted => sub {
		my $path = $File::Find::name;
		return if !-f $path || -l $path;
		my $relative = substr($path, length($root) + 1);
		# what Postgres does not read after a crash, or never syncs
		return if $relative !~ m{^(base|global|pg_wal|pg_xact|pg_multixact|pg_twophase|kalam|kalam_store)(/|$)}
		  || $relative =~ m{pg_internal\.init|^kalam/(db/LOG|ballast)};
		(my $flat = $relative) =~ tr{/}{%};
		my $copy = -e "$self->{shadow}/$flat" ? "$self->{shadow}/$flat" : "$self->{base}/$relative";
		my @now = stat($path);
		my @then = stat($copy);

		return if $copy !~ m{^\Q$self->{shadow}\E/} && @then && $then[7] == $now[7] && $then[9] == $now[9];
		my $written = contents($path);
		my $synced = @then ? contents($copy) : undef;
		return if defined $synced && $synced eq $written;
		$changed++;
		if (!defined $synced)
		{
			if (rand() < 0.3) { unlink($path); return; }
			$synced = '';
		}
		put($path, mixture($synced, $written));
	} }, $root);
	return $changed;
}

sub mixture
{
	my ($synced, $written) = @_;
	my $dice = rand();
	my $length = length($synced);

	return $synced if $dice < 0.4;
	return $written if $dice < 0.5;
	$length += int(rand(length($written) - $length + 1)) if length($written) > $length;
	my $result = '';
	for (my $at = 0; $at < $length; $at += 512)
	{
		my $from = rand() < 0.5 ? $synced : $written;
		my $wanted = $length - $at < 512 ? $length - $at : 512;
		my $sector = $at < length($from) ? substr($from, $at, $wanted) : '';
		$result .= $sector . ("\0" x ($wanted - length($sector)));
	}
	return $result;
}

# In place: the file is the same one.
sub put
{
	my ($path, $bytes) = @_;

	open(my $f, '+<:raw', $path) or die "$path: $!";
	print $f $bytes or die;
	truncate($f, length($bytes)) or die;
	close($f) or die;
}

1;
