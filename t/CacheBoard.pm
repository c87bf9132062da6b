# What clients have done to counters, told to all of them at once: who adds one to a
# counter says so before it can be seen, and again when it is committed.  So whoever
# reads the counter knows between which numbers it must find it:
#
#	committed before the reading began <= value <= begun before the reading was over
#
# A file that all processes have open: a word per client and counter of what was
# begun, and one of what is committed.  Only the client writes its words.
package CacheBoard;

use strict;
use warnings;
use Fcntl qw(O_RDWR O_CREAT SEEK_SET);

# For clients 0 .. $clients - 1.
sub new
{
	my ($class, $path, $clients, $counters) = @_;
	my $self = bless { path => $path, clients => $clients, counters => $counters }, $class;

	$self->reopen;
	syswrite($self->{file}, "\0" x (16 * $clients * $counters)) or die "board: $!";
	return $self;
}

# To be called by a new process: it must not share the position in the file.
sub reopen
{
	my ($self) = @_;

	sysopen($self->{file}, $self->{path}, O_RDWR | O_CREAT) or die "board: $!";
	return $self;
}

sub add
{
	my ($self, $kind, $client, $n, @counters) = @_;

	foreach my $counter (@counters)
	{
		my $at = 8 * (($kind * $self->{clients} + $client) * $self->{counters} + $counter);
		my $word;

		sysseek($self->{file}, $at, SEEK_SET) && sysread($self->{file}, $word, 8) == 8 or die "board: $!";
		sysseek($self->{file}, $at, SEEK_SET) && syswrite($self->{file}, pack('q', unpack('q', $word) + $n)) == 8
		  or die "board: $!";
	}
	return;
}

# The sums of all clients' words, by counter.
sub sums
{
	my ($self, $kind) = @_;
	my ($clients, $counters) = @$self{qw(clients counters)};
	my ($bytes, @sums) = ('', (0) x $counters);

	sysseek($self->{file}, 8 * $kind * $clients * $counters, SEEK_SET)
	  && sysread($self->{file}, $bytes, 8 * $clients * $counters) == 8 * $clients * $counters or die "board: $!";
	my @words = unpack('q*', $bytes);
	foreach my $client (0 .. $clients - 1)
	{
		$sums[$_] += $words[ $client * $counters + $_ ] foreach 0 .. $counters - 1;
	}
	return \@sums;
}

# Of a client: it is about to commit one more of each of these,
sub begin { my ($self, $client, @counters) = @_; return $self->add(0, $client, 1, @counters) }

# has done so, or knows that it has not.
sub end { my ($self, $client, @counters) = @_; return $self->add(1, $client, 1, @counters) }
sub undo { my ($self, $client, @counters) = @_; return $self->add(0, $client, -1, @counters) }

sub begun { return $_[0]->sums(0) }
sub committed { return $_[0]->sums(1) }

1;
