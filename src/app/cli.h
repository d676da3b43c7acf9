/*
 * The command line: one table of subcommands, each in a file of its own
 * (cmd_NAME.c). Names and output follow xray's where xray has the command.
 */
#ifndef GARENNE_APP_CLI_H
#define GARENNE_APP_CLI_H

/* Exit codes that scripts of Xray users look at. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* what was asked for did not work */
	EXIT_USAGE = 2,
	EXIT_CONFIG = 23, /* the configuration is no good */
	EXIT_START = 255, /* a port is taken, a right is missing */
};

struct command {
	const char *name;  /* may be two words: "tls cert" */
	const char *brief; /* one line for the list */
	const char *usage; /* what --help prints */
	/* @argv[0] is the command's last word. Returns the exit code. */
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_run, cmd_check, cmd_version, cmd_uuid, cmd_x25519;
extern const struct command cmd_mldsa65, cmd_mlkem768;
extern const struct command cmd_reload, cmd_status, cmd_flows, cmd_why, cmd_trace, cmd_ping;
extern const struct command cmd_tls_cert, cmd_tls_hash, cmd_tls_ping, cmd_convert;
extern const struct command cmd_reality_check, cmd_audit;
extern const struct command cmd_mesh_init, cmd_mesh_add, cmd_mesh_compile, cmd_mesh_check,
	cmd_mesh_show, cmd_mesh_token, cmd_mesh_join;

/** Finds and runs the subcommand; "run" when there is none. */
int cli_main(int argc, char **argv);
/** Usage error of @c: prints @fmt and where to read more; returns EXIT_USAGE. */
int cli_usage(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/** The version that was built. */
const char *cli_version(void);

#endif
