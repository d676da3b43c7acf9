#include "flow/sniffer.h"

bool sniffer_start(struct flow *f)
{
	(void)f;
	return false;
}
struct span sniff_attr(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return span_of(NULL, 0);
}
void sniff_attrs_free(struct sniff_attrs *a)
{
	(void)a;
}
