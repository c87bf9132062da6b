-- By a prefix of the key: one package.
SELECT name, version, section, installed_kb, description
    FROM debian.packages
    WHERE name = 'postgresql-15'
    ORDER BY version;

-- By the whole key: one message.
SELECT author, sent_at, body
    FROM chat.messages
    WHERE conversation_id = 42 AND id = 4839;

-- By a range of keys.
SELECT count(*) AS packages, sum(installed_kb)::bigint / 1024 AS installed_mb
    FROM debian.packages
    WHERE name >= 'libpython' AND name < 'libpythoo';

-- Newest first: the key is stored in this order.
SELECT id, author, sent_at, left(body, 30) AS body
    FROM chat.messages
    WHERE conversation_id = 42
    ORDER BY id DESC
    LIMIT 5;

-- The page behind it.
SELECT id, author, sent_at, left(body, 30) AS body
    FROM chat.messages
    WHERE conversation_id = 42 AND id < 979839
    ORDER BY id DESC
    LIMIT 5;

-- Grouped: where does the disk space go?
SELECT section, count(*) AS packages, sum(installed_kb)::bigint / 1024 AS installed_mb,
       pg_size_pretty(sum(download_bytes)) AS download
    FROM debian.packages
    GROUP BY section
    ORDER BY sum(installed_kb) DESC NULLS LAST
    LIMIT 5;

-- Every row is looked at.
SELECT count(*) AS messages, count(DISTINCT author) AS authors, max(sent_at) AS last
    FROM chat.messages;

-- A heap table joined with the newest message of each of its rows.
SELECT c.title, m.author, m.sent_at, left(m.body, 30) AS body
    FROM chat.conversations c
    CROSS JOIN LATERAL (SELECT *
                        FROM chat.messages m
                        WHERE m.conversation_id = c.id
                        ORDER BY m.id DESC
                        LIMIT 1) m
    WHERE c.id BETWEEN 1 AND 5
    ORDER BY c.id;

-- Both foreign tables: what do the conversations talk about?
SELECT p.section, count(*) AS messages
    FROM chat.messages m
    JOIN debian.packages p ON p.name = m.about
    WHERE m.conversation_id BETWEEN 1 AND 20
    GROUP BY p.section
    ORDER BY count(*) DESC, p.section
    LIMIT 5;
