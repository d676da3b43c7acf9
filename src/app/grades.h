/* What a command that judges something found, printed as it comes: a grade, a matter, a sentence.
 */
#ifndef GARENNE_APP_GRADES_H
#define GARENNE_APP_GRADES_H

#include <stddef.h>

enum grade {
	GRADE_OK = 0,
	GRADE_NOTE, /* worth knowing, no fault */
	GRADE_WARN, /* somebody who looks closely could tell */
	GRADE_FAIL, /* does not work, or anybody can tell */
	GRADE_MAX_,
};

struct grades {
	size_t n[GRADE_MAX_];
};

/** Prints a line and counts it. */
void grade(struct grades *g, enum grade how, const char *matter, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
