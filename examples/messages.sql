-- A million messages: 5,000 conversations, 2,000 authors, each message about a
-- package.

INSERT INTO chat.conversations
    SELECT c, 'Conversation ' || c
    FROM generate_series(1, 5000) c;

WITH numbered AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY name) - 1 AS number, name
        FROM (SELECT DISTINCT name FROM debian.packages) names)
INSERT INTO chat.messages (conversation_id, id, author, sent_at, about, body)
    SELECT 1 + g * 7919 % 5000,
           g,
           'user' || 1 + g * 104729 % 2000,
           timestamptz '2025-01-01 00:00:00+00' + g * interval '15 seconds',
           name,
           (ARRAY['good morning', 'has anybody tried this?', 'it works for me',
                  'thank you', 'see the attached log', 'done', 'let us talk tomorrow',
                  'which version is it?'])[1 + g * 31 % 8] || ' (' || md5(g::text) || ')'
    FROM generate_series(1, 1000000::bigint) g
    JOIN numbered ON number = g * 31 % (SELECT count(*) FROM numbered);
