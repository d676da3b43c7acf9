#include "app/stamp.h"

#include <stdio.h>
#include <time.h>

char *stamp_text(uint64_t s, char out[STAMP_TEXT])
{
	enum { LAST = 253402300799 }; /* of the year 9999 */
	time_t t = (time_t)s;
	struct tm tm;

	if (s > (uint64_t)LAST || !gmtime_r(&t, &tm) ||
	    strftime(out, STAMP_TEXT, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, STAMP_TEXT, "a time that cannot be");
	return out;
}
