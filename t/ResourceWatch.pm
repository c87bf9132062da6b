# What a server takes while something runs: memory of its sessions and of the
# storage process, bytes of files in some folders.  Samples /proc and the folders
# in a process of its own.  Tests and bench/watch use it.
#
# Memory is RssAnon: pages that belong to one process alone, its heap and stack.
# Shared memory (RssShmem: shared_buffers, the segment between backends and storage)
# is left out: its size is fixed by settings, and each page of it would count in
# every process that has touched it, which is why VmHWM, the peak that the kernel
# keeps, says little about a session.  Pages of files (RssFile) are the programs.
#
# Bytes of files are their lengths, and a file with several names counts once.
package ResourceWatch;

use strict;
use warnings;
use Exporter 'import';
use IO::Handle;
use IO::Select;
use POSIX ();

our @EXPORT_OK = qw(anonymous_kb file_bytes used_by_server);

# ---- looking once ----

sub slurp
{
	my ($path) = @_;

	open(my $file, '<', $path) or return '';
	local $/;
	return readline($file) // '';
}

# Private memory of a process; 0 if it has ended.
sub anonymous_kb
{
	my ($pid) = @_;

	return slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

# Of the files in folders and below; they may vanish while this looks.
sub file_bytes
{
	my @folders = @_;
	my $bytes = 0;
	my %seen;

	while (defined(my $folder = shift @folders))
	{
		opendir(my $dir, $folder) or next;
		foreach my $name (readdir($dir))
		{
			my @stat = lstat("$folder/$name");

			if (-f _)
			{
				$bytes += $stat[7] unless $stat[3] > 1 && $seen{"$stat[0] $stat[1]"}++;
			}
			elsif (-d _)
			{
				push @folders, "$folder/$name" unless $name eq '.' || $name eq '..';
			}
		}
	}
	return $bytes;
}

# The processes below a process, those below them, and so on.
sub children
{
	my ($pid) = @_;
	my @all = map { split ' ', slurp($_) } glob("/proc/$pid/task/*/children");

	return map { ($_, children($_)) } @all;
}

# Whose sessions those are that a client of this machine began.
sub is_session
{
	my ($pid) = @_;

	return slurp("/proc/$pid/cmdline") =~ /^postgres: .*\[local\]/;
}

sub is_storage
{
	my ($pid) = @_;

	return slurp("/proc/$pid/comm") eq "kalam_storage\n";
}

# What all processes of a server have used since it started: seconds of processor
# time, and bytes that they had written to disk.  Those that have ended are part of
# their parent's figures.
sub used_by_server
{
	my ($postmaster) = @_;
	my ($ticks, $written) = (0, 0);

	foreach my $pid ($postmaster, children($postmaster))
	{
		# (fields behind the name, which may hold anything: utime .. cstime)
		my @stat = split ' ', slurp("/proc/$pid/stat") =~ s/.*\)//sr;

		$ticks += $stat[$_] for grep { defined $stat[$_] } 11 .. 14;
		$written += $1 if slurp("/proc/$pid/io") =~ /^write_bytes: (\d+)/m;
	}
	return { cpu => $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK()), written => $written };
}

# ---- watching ----

# Of a server (the postmaster's pid) and folders, every so many seconds.
sub start
{
	my ($class, %how) = @_;
	my $self = bless { folders => $how{folders}, before => file_bytes(@{ $how{folders} }) }, $class;

	pipe(my $stop, $self->{stop}) && pipe($self->{result}, my $result) or die "pipe: $!";
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		close($self->{stop});
		eval { print $result join(' ', sample($stop, $how{interval} // 0.02, $how{postmaster}, @{ $how{folders} })), "\n" };
		$result->flush;
		# (END blocks and destructors are the parent's)
		POSIX::_exit(0);
	}
	close($stop);
	close($result);
	return $self;
}

# The child: until the other end of the pipe is closed.
sub sample
{
	my ($stop, $interval, $postmaster, @folders) = @_;
	my $until = IO::Select->new($stop);
	my ($session, $storage, $files, $count, $ended) = (0, 0, 0, 0, 0);
	my %what;

	while (1)
	{
		my ($in_sessions, $in_storage) = (0, 0);

		# A session is one from when it names itself so, therefore what is neither
		# is asked again.
		foreach my $pid (children($postmaster))
		{
			$what{$pid} ||= is_session($pid) ? 'session' : is_storage($pid) ? 'storage' : '';
			$in_sessions += anonymous_kb($pid) if $what{$pid} eq 'session';
			$in_storage += anonymous_kb($pid) if $what{$pid} eq 'storage';
		}
		my $bytes = file_bytes(@folders);

		$session = $in_sessions if $in_sessions > $session;
		$storage = $in_storage if $in_storage > $storage;
		$files = $bytes if $bytes > $files;
		$count++;
		last if $ended;
		$ended = $until->can_read($interval);
	}
	return ($session, $storage, $files, $count);
}

# The most that there was: session_kb (all sessions together), storage_kb, files (bytes
# of files beyond those that were there at the start); left, those that there are now; and
# samples, how often it looked.
sub stop
{
	my ($self) = @_;

	close($self->{stop});
	my ($session, $storage, $files, $count) = split ' ', readline($self->{result}) // '';
	waitpid($self->{pid}, 0);
	die "the watcher failed\n" if !$count;
	my $left = file_bytes(@{ $self->{folders} });
	$files = $left if $left > $files;
	return {
		session_kb => $session, storage_kb => $storage, samples => $count,
		files => $files - $self->{before}, left => $left - $self->{before},
	};
}

1;
