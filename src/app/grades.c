#include "app/grades.h"

#include <stdarg.h>
#include <stdio.h>

void grade(struct grades *g, enum grade how, const char *matter, const char *fmt, ...)
{
	static const char *const words[GRADE_MAX_] = {"ok", "note", "warn", "FAIL"};
	va_list ap;

	g->n[how]++;
	printf("%-5s %-20s ", words[how], matter);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}
