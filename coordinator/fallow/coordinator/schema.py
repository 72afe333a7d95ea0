"""The tables of the coordinator's database, as a list of steps from an empty file to the newest.

Not the reading and writing (`store`). A step that was released is never changed: add another.
"""

MIGRATIONS = [
    """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE batch (
    uid TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (namespace, name)
) STRICT;
CREATE TABLE job (
    batch TEXT NOT NULL REFERENCES batch (uid) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    state BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    evictions INTEGER NOT NULL,
    killed INTEGER NOT NULL,
    crashed_on BLOB NOT NULL,
    PRIMARY KEY (batch, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (
    batch TEXT NOT NULL,
    idx INTEGER NOT NULL,
    number INTEGER NOT NULL,
    node TEXT NOT NULL,
    tag TEXT NOT NULL,
    state BLOB NOT NULL,
    cpus INTEGER NOT NULL,
    memory INTEGER NOT NULL,
    assigned REAL NOT NULL,
    exit BLOB,
    manifest TEXT,
    started REAL,
    ended REAL,
    closed REAL,
    run_seconds REAL NOT NULL,
    paused_seconds REAL NOT NULL,
    doubtful INTEGER NOT NULL,
    PRIMARY KEY (batch, idx, number),
    FOREIGN KEY (batch, idx) REFERENCES job (batch, idx) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE build (
    batch TEXT NOT NULL REFERENCES batch (uid) ON DELETE CASCADE,
    node TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    log TEXT,
    log_size INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (batch, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE node (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE key (
    public TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created REAL NOT NULL,
    token TEXT NOT NULL,
    revoked REAL
) STRICT;
CREATE TABLE token (
    public TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    uses INTEGER NOT NULL,
    used_by BLOB NOT NULL
) STRICT;
CREATE TABLE result (
    batch TEXT NOT NULL REFERENCES batch (uid) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('committing', 'committed')),
    deposit BLOB NOT NULL,
    folders BLOB NOT NULL,
    PRIMARY KEY (batch, idx, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX result_committing ON result (state) WHERE state = 'committing';
CREATE TABLE result_file (
    batch TEXT NOT NULL,
    idx INTEGER NOT NULL,
    number INTEGER NOT NULL,
    path BLOB NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    executable INTEGER NOT NULL,
    PRIMARY KEY (batch, idx, number, path),
    FOREIGN KEY (batch, idx, number) REFERENCES result (batch, idx, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE build_output (
    batch TEXT NOT NULL REFERENCES batch (uid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (batch, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE doomed (
    uid TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    wall REAL NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    node TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
""",
    """
ALTER TABLE attempt ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN run_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN paused_seconds REAL NOT NULL DEFAULT 0;
""",
    """
ALTER TABLE job ADD COLUMN hold TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE checkpoint (
    batch TEXT NOT NULL,
    idx INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (batch, idx),
    FOREIGN KEY (batch, idx) REFERENCES job (batch, idx) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
""",
    # AUTOINCREMENT: a number that was told to others never stands for another message.
    """
CREATE TABLE notice (id INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL) STRICT;
CREATE TABLE matrix_room (target TEXT PRIMARY KEY, room TEXT NOT NULL) STRICT;
""",
    """
ALTER TABLE job ADD COLUMN killed_by TEXT NOT NULL DEFAULT '';
""",
]
