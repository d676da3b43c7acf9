#include "app/metrics.h"

#include <string.h>

enum metric_of { OF_NODE = 0, OF_OUTBOUND, OF_PORTAL, OF_BRIDGE };

/* What a row's tag is called. */
static const char *const labels[] = {NULL, "outbound", "portal", "bridge"};

struct metric {
	const char *name, *type, *help;
	enum metric_of of;
	/* False: this row has no such figure. */
	bool (*value)(const cJSON *row, const char *key, double *out);
	const char *key;
};

/* ---- where figures come from ---- */

static bool plain(const cJSON *row, const char *key, double *out)
{
	*out = ask_number(row, key);
	return cJSON_HasObjectItem(row, key);
}

/* Counted from the start, also before the first one. */
static bool total(const cJSON *row, const char *key, double *out)
{
	*out = ask_number(row, key);
	return true;
}

static bool from_ms(const cJSON *row, const char *key, double *out)
{
	*out = ask_number(row, key) / 1000;
	return cJSON_HasObjectItem(row, key);
}

static bool one(const cJSON *row, const char *key, double *out)
{
	(void)row;
	(void)key;
	*out = 1;
	return true;
}

static bool is_up(const cJSON *row, const char *key, double *out)
{
	*out = strcmp(ask_text(row, key), "up") == 0;
	return cJSON_HasObjectItem(row, key);
}

static bool flows(const cJSON *row, const char *key, double *out)
{
	const cJSON *w;

	*out = 0;
	cJSON_ArrayForEach(w, cJSON_GetObjectItemCaseSensitive(row, "workers"))
		*out += ask_number(w, key);
	return true;
}

static bool count(const cJSON *row, const char *key, double *out)
{
	*out = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(row, key));
	return true;
}

/* Of the carrier that answers fastest; one that has not been asked yet has none. */
static bool shortest_rtt(const cJSON *row, const char *key, double *out)
{
	const cJSON *c;

	*out = 0;
	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(row, "carriers")) {
		double s = ask_number(c, key) / 1000;

		if (s > 0 && (*out == 0 || s < *out))
			*out = s;
	}
	return *out > 0;
}

static const struct metric metrics[] = {
	{"garenne_info", "gauge", "What runs.", OF_NODE, one, ""},
	{"garenne_uptime_seconds", "gauge", "Time since the start.", OF_NODE, from_ms, "up_ms"},
	{"garenne_flows", "gauge", "Flows that live.", OF_NODE, flows, "flows"},
	{"garenne_served_total", "counter", "Flows that were connected and have ended.", OF_OUTBOUND,
	 total, "served"},
	{"garenne_failed_total", "counter", "Flows that could not be connected.", OF_OUTBOUND, total, "failed"},
	{"garenne_up_bytes_total", "counter", "Bytes that ended flows have sent.", OF_OUTBOUND, total, "up"},
	{"garenne_down_bytes_total", "counter", "Bytes that ended flows have received.", OF_OUTBOUND, total, "down"},
	{"garenne_probe_seconds", "gauge", "Answer time of the observatory's last probe.", OF_OUTBOUND,
	 from_ms, "probe_ms"},
	{"garenne_probes_total", "counter", "Probes of the observatory.", OF_OUTBOUND, plain,
	 "probes"},
	{"garenne_probe_failures_total", "counter", "Probes that failed.", OF_OUTBOUND, plain,
	 "probe_failures"},
	{"garenne_portal_up", "gauge", "1 while a bridge is connected.", OF_PORTAL, is_up,
	 "state"},
	{"garenne_portal_carriers", "gauge", "Connections from bridges.", OF_PORTAL, count,
	 "carriers"},
	{"garenne_portal_waiting", "gauge", "Visitors that wait for a bridge.", OF_PORTAL, plain,
	 "waiting"},
	{"garenne_portal_rtt_seconds", "gauge", "Round trip to the nearest bridge.", OF_PORTAL,
	 shortest_rtt, "rtt_ms"},
	{"garenne_bridge_up", "gauge", "1 while the portal has confirmed a connection.", OF_BRIDGE, is_up, "state"},
	{"garenne_bridge_carriers", "gauge", "Connections to the portal.", OF_BRIDGE, count,
	 "carriers"},
	{"garenne_bridge_rtt_seconds", "gauge", "Round trip to the portal.", OF_BRIDGE, shortest_rtt, "rtt_ms"},
};

/* ---- the page ---- */

static void print_label(FILE *to, const char *name, const char *value)
{
	fprintf(to, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", to);
		else if (*value == '"' || *value == '\\')
			fprintf(to, "\\%c", *value);
		else
			fputc(*value, to);
	}
	fputc('"', to);
}

/* @row: what the figure is of, a part of @node or itself. */
static void print_line(FILE *to, const struct metric *m, const cJSON *node, const cJSON *row)
{
	double v;

	if (!m->value(row, m->key, &v))
		return;
	fprintf(to, "%s{", m->name);
	print_label(to, "node", ask_text(node, "node"));
	if (labels[m->of]) {
		fputc(',', to);
		print_label(to, labels[m->of], ask_text(row, "tag"));
	} else if (m->value == one) {
		fputc(',', to);
		print_label(to, "version", ask_text(node, "version"));
	}
	fprintf(to, "} %.15g\n", v);
}

static bool is_of(const struct metric *m, const cJSON *row)
{
	return m->of != OF_PORTAL || strcmp(ask_text(row, "protocol"), "portal") == 0;
}

static void print_node(FILE *to, const struct metric *m, const cJSON *node)
{
	const cJSON *row;

	if (m->of == OF_NODE) {
		print_line(to, m, node, node);
		return;
	}
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(
					node, m->of == OF_BRIDGE ? "bridges" : "outbounds"))
		if (is_of(m, row))
			print_line(to, m, node, row);
}

void metrics_print(FILE *to, const struct ask_answers *answers)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
			metrics[i].name, metrics[i].type);
		for (size_t k = 0; k < answers->n; k++)
			print_node(to, &metrics[i], answers->v[k]);
	}
}
