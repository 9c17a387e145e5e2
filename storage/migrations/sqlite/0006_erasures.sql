-- Schema 6. Erasures that were asked for and are not finished: the id is here until nothing else has it. A binary before finishes none by itself.
create table erasures (tenant blob not null, member blob not null, by_subject blob, at_ms integer not null, primary key (tenant, member)) without rowid;
