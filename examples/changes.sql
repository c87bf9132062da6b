-- A message is written, one is corrected, a conversation is deleted.
INSERT INTO chat.messages
    VALUES (42, 1000001, 'user1', '2025-07-01 12:00:00+00', 'bash', 'hello')
    RETURNING conversation_id, id, body;

UPDATE chat.messages SET body = body || ' (edited)'
    WHERE conversation_id = 42 AND id = 1000001
    RETURNING id, body;

DELETE FROM chat.messages WHERE conversation_id = 43;

-- Many rows at once.
UPDATE debian.packages SET section = 'games/' || left(name, 1)
    WHERE section = 'games';

-- A key is unique.
\set ON_ERROR_STOP off
INSERT INTO chat.messages
    VALUES (42, 1000001, 'user2', '2025-07-01 12:00:01+00', 'dash', 'the same id again');
\set ON_ERROR_STOP on

-- What is rolled back did not happen.
BEGIN;
DELETE FROM chat.messages WHERE conversation_id <= 100;
SELECT count(*) AS inside FROM chat.messages;
ROLLBACK;
SELECT count(*) AS after_rollback FROM chat.messages;
