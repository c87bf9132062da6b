-- Two foreign tables that live in RocksDB, and an ordinary heap table.

CREATE SCHEMA debian;

-- The key is unique, and the order in which rows are stored.  Under COLLATE "C"
-- text has the order of its bytes, so that ranges of names can use the key.
CREATE FOREIGN TABLE debian.packages (
    name            text COLLATE "C" NOT NULL,
    version         text COLLATE "C" NOT NULL,
    architecture    text COLLATE "C" NOT NULL,
    section         text,
    priority        text,
    installed_kb    bigint,
    download_bytes  bigint,
    maintainer      text,
    depends         text,
    homepage        text,
    filename        text,
    description     text
) SERVER kalam OPTIONS (primary_key 'name, version, architecture');

CREATE SCHEMA chat;

-- The newest message of a conversation comes first.
CREATE FOREIGN TABLE chat.messages (
    conversation_id bigint NOT NULL,
    id              bigint NOT NULL,
    author          text NOT NULL,
    sent_at         timestamptz NOT NULL,
    about           text COLLATE "C",
    body            text NOT NULL CHECK (body <> '')
) SERVER kalam OPTIONS (primary_key 'conversation_id, id DESC');

CREATE TABLE chat.conversations (
    id      bigint PRIMARY KEY,
    title   text NOT NULL
);
