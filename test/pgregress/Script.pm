# Script.pm: takes a psql script apart, as psql would.
package Script;
use strict;
use warnings;

# pieces(TEXT): the statements and backslash commands of a script, each with all
# that belongs to it: comments and spaces before it, what ends it, the data of a
# COPY FROM STDIN.  Joined together they are the script.
sub pieces
{
	my ($text) = @_;
	my @pieces;
	my $start = 0;
	my ($parens, $begins, $words) = (0, 0, '');

	my $cut = sub {
		push @pieces, substr($text, $start, pos($text) - $start);
		$start = pos($text);
		($parens, $begins, $words) = (0, 0, '');
	};
	pos($text) = 0;
	while (pos($text) < length($text))
	{
		if ($text =~ /\G(?:--[^\n]*|\s+)/gc) { }
		elsif ($text =~ /\G(\/\*(?:[^*\/]++|\*(?!\/)|\/(?!\*)|(?1))*\*\/)/gc) { }
		elsif ($text =~ /\G[eE]'(?:[^'\\]++|\\.|'')*'/gcs) { $words .= ' x'; }
		elsif ($text =~ /\G'(?:[^']++|'')*'/gc) { $words .= ' x'; }
		elsif ($text =~ /\G"(?:[^"]++|"")*"/gc) { $words .= ' x'; }
		elsif ($text =~ /\G\$(\w*)\$.*?\$\1\$/gcs) { $words .= ' x'; }
		elsif ($text =~ /\G\\(?:;|[^\s;]+[^\n]*(?:\n|$))/gc)
		{
			# \; separates statements that are sent together; anything else ends the line
			$cut->() unless substr($text, pos($text) - 2, 2) eq '\\;';
		}
		elsif ($text =~ /\G(\w+)/gc)
		{
			my $word = lc $1;
			# the body of a function may be statements in BEGIN ATOMIC … END
			if ($words =~ /^ create (?:or replace )?(?:function|procedure)/)
			{
				$begins++ if $word eq 'begin' || ($begins && $word eq 'case');
				$begins-- if $word eq 'end' && $begins;
			}
			$words .= " $word" if length($words) < 200;
		}
		elsif ($text =~ /\G;/gc)
		{
			next if $parens || $begins;
			# one that fails has no data: what comes next is another statement
			if ($words =~ /^ copy .* from stdin\b/ &&
				$text !~ /\G[^\n]*\n\s*(?:--|\\(?!\.)|(?:alter|begin|commit|copy|create|drop|insert|rollback|select|set|truncate)\b)/i)
			{
				$text =~ /\G[^\n]*\n(?:.*?\n)??\\\.(?:\n|$)/gcs;
			}
			$cut->();
		}
		else
		{
			$text =~ /\G(.)/gcs;
			$parens++ if $1 eq '(';
			$parens-- if $1 eq ')' && $parens;
		}
	}
	$cut->() if $start < length($text);
	return @pieces;
}

# bare(PIECE): the statement on one line, without comments around it and its end.
sub bare
{
	my ($piece) = @_;

	$piece =~ s/^(?:\s+|--[^\n]*\n|\/\*.*?\*\/)+//s;
	$piece =~ s/;[^\n]*\n.*\\\.\s*$//s if $piece =~ /^copy\b[^;]*\bfrom\s+stdin\b/i;
	$piece =~ s/--[^\n']*(?=\n|$)/ /g;
	$piece =~ s/\s+/ /g;
	$piece =~ s/[; ]+$//;
	return $piece;
}

1;
