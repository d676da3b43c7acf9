/*
 * Takes over a changed configuration while flows and carriers go on: what conf/shape.h leaves free.
 * Files are read and rules compiled in a thread of their own; the change itself is made in a pause of
 * all loops (pause.h), or not at all.
 *
 * What a flow refers to must outlive it, so nothing of an earlier configuration is freed before the
 * program ends: each reload costs the memory of its file and its compiled rules.
 */
#ifndef GARENNE_APP_RELOAD_H
#define GARENNE_APP_RELOAD_H

#include <stdatomic.h>

#include <cjson/cJSON.h>

#include "app/files.h"
#include "app/status.h"

struct reloader;

struct reload_user {
	/* Once, from the first worker; takes @result: {"fault": text} when nothing was changed, or
	 * {"node": name, "changed": bool, "users": n, "rules": n, "portals": [new tags],
	 * "messages": [warnings]}. */
	void (*on_reloaded)(struct reload_user *u, cJSON *result);
};

/** Borrows all. @running: what the objects of @v were made of. Gives, or NULL when memory is out. */
struct reloader *reload_new(const struct status_view *v, const struct files *files,
			    const struct conf *running, const atomic_bool *stopping);
/** Reads @text, which is called @name in messages, or the program's own files when it is NULL.
 * Copies both. On the first worker. NULL, or why not (then nothing comes). */
const char *reload_start(struct reloader *r, const char *name, const char *text,
			 struct reload_user *u);
/** Waits for the thread, if there is one; what it says then has no effect. On the first worker, or
 * after the loops. Takes NULL too, as does the next. */
void reload_stop(struct reloader *r);
/** After everything that uses configurations is gone. */
void reload_free(struct reloader *r);

#endif
