-- Schema 6. Erasures that were asked for and are not finished: the id is here until nothing else has it. A binary before finishes none by itself.
create table erasures (tenant uuid not null, member uuid not null, by_subject uuid, at_ms bigint not null, primary key (tenant, member));
