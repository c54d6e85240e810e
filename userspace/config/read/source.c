/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One scan of the text, by libConfuse's rules for words, strings and comments:
 *
 *     statement = word "=" value | word "=" "{" value, … "}" | word [title] "{" statement … "}"
 *
 * It never refuses anything. Text that is not of this form is libConfuse's to complain about.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/read/source.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_MARK };

struct token {
	enum token_kind kind;
	char mark; /* of TOKEN_MARK: one of {}()=, */
	const char *start, *end;
	int line;
};

struct cursor {
	const char *at;
	int line;
};

/* Past the string that opens at @at, or the end of the text. */
static const char *skip_string(const char *at, int *line)
{
	char quote = *at++;

	for (; *at && *at != quote; at++) {
		if (*at == '\\' && at[1])
			at++;
		*line += *at == '\n';
	}
	return at + (*at == quote);
}

static struct token next_token(struct cursor *cursor)
{
	const char *at = cursor->at + strspn(cursor->at, " \t\r\n+*");
	struct token token;

	for (const char *c = cursor->at; c < at; c++)
		cursor->line += *c == '\n';
	token = (struct token){.start = at, .line = cursor->line};
	if (!*at) {
		token.kind = TOKEN_END;
	} else if (*at == '"' || *at == '\'') {
		token.kind = TOKEN_WORD;
		at = skip_string(at, &cursor->line);
	} else if (strchr("{}()=,", *at)) {
		token.kind = TOKEN_MARK;
		token.mark = *at++;
	} else {
		token.kind = TOKEN_WORD;
		at += strcspn(at, " \t\r\n{}()=,+*\"'");
	}
	token.end = cursor->at = at;
	return token;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

static void blank_comments(char *text)
{
	int line = 0;
	char *end;

	while (*text) {
		if (*text == '"' || *text == '\'') {
			text = (char *)skip_string(text, &line);
			continue;
		}
		end = text;
		if (*text == '#' || (*text == '/' && text[1] == '/')) {
			end = text + strcspn(text, "\n");
		} else if (*text == '/' && text[1] == '*') {
			end = strstr(text + 2, "*/");
			end = end ? end + 2 : text + strlen(text);
		}
		blank(text, end);
		text = end > text ? end : text + 1;
	}
}

static bool is_word(const struct token *token, const char *word)
{
	size_t length = (size_t)(token->end - token->start);

	return token->kind == TOKEN_WORD && strlen(word) == length &&
	       !memcmp(token->start, word, length);
}

/* A word or string as the parser would see it; escapes don't occur in titles. */
static char *token_text(const struct token *token)
{
	bool quoted = *token->start == '"' || *token->start == '\'';

	return strndup(token->start + quoted, (size_t)(token->end - token->start) - 2 * quoted);
}

static int add_block(struct source *source, const struct token *name, const struct token *title,
		     int parent)
{
	struct source_block *blocks =
		reallocarray(source->blocks, source->count + 1, sizeof(*blocks));

	if (!blocks)
		return -ENOMEM;
	source->blocks = blocks;
	blocks[source->count++] = (struct source_block){
		.name = token_text(name),
		.title = title ? token_text(title) : NULL,
		.parent = parent,
		.line = name->line,
	};
	return 0;
}

/*
 * Walks over the statements. @visit is called with a statement's first word, its title (no word if
 * it has none), the mark after them ('=', '{' or anything else that is no statement), and the
 * block it is in; then the value is passed over, or the block entered.
 */
struct walk {
	struct cursor cursor;
	struct token name, title, mark;
	int parent; /* index of the block around it, counted as source->blocks counts them */
};

/* Past "= value" or "= { value, … }". */
static void skip_value(struct cursor *cursor)
{
	struct token token = next_token(cursor);

	if (token.kind == TOKEN_MARK && token.mark == '{')
		while (token.kind != TOKEN_END && !(token.kind == TOKEN_MARK && token.mark == '}'))
			token = next_token(cursor);
}

/* Past the rest of a block whose brace was just read. */
static void skip_block(struct cursor *cursor)
{
	struct token token;
	int depth = 1;

	while (depth > 0) {
		token = next_token(cursor);
		if (token.kind == TOKEN_END)
			return;
		if (token.kind == TOKEN_MARK)
			depth += (token.mark == '{') - (token.mark == '}');
	}
}

/* The next statement's words and mark. False at the end, or at a brace that closes a block
 * (@closed). */
static bool next_statement(struct walk *walk, bool *closed)
{
	struct cursor ahead;
	struct token token = next_token(&walk->cursor);

	*closed = false;
	while (token.kind == TOKEN_MARK && token.mark != '}')
		token = next_token(&walk->cursor); /* out of place */
	*closed = token.kind == TOKEN_MARK;
	if (token.kind != TOKEN_WORD)
		return false;
	walk->name = token;
	walk->title = (struct token){0};
	ahead = walk->cursor;
	walk->mark = next_token(&ahead);
	if (walk->mark.kind == TOKEN_WORD) {
		token = next_token(&ahead);
		if (token.kind != TOKEN_MARK || token.mark != '{') {
			walk->mark = (struct token){.kind = TOKEN_END};
			return true; /* a lone word: what follows it is read as a statement anew */
		}
		walk->title = walk->mark;
		walk->mark = token;
	}
	if (walk->mark.kind == TOKEN_MARK)
		walk->cursor = ahead;
	return true;
}

static bool opens_block(const struct walk *walk)
{
	return walk->mark.kind == TOKEN_MARK && walk->mark.mark == '{';
}

static bool has_value(const struct walk *walk)
{
	return walk->mark.kind == TOKEN_MARK && walk->mark.mark == '=';
}

/* Fills source->blocks. */
static int scan_blocks(struct source *source)
{
	struct walk walk = {.cursor = {source->text, 1}, .parent = SOURCE_ROOT};
	bool closed;

	for (;;) {
		if (!next_statement(&walk, &closed)) {
			source->unclosed = walk.parent;
			if (!closed)
				return 0;
			if (walk.parent != SOURCE_ROOT)
				walk.parent = source->blocks[walk.parent].parent;
		} else if (opens_block(&walk)) {
			if (add_block(source, &walk.name,
				      walk.title.kind == TOKEN_WORD ? &walk.title : NULL,
				      walk.parent) < 0)
				return -ENOMEM;
			walk.parent = (int)source->count - 1;
		} else if (has_value(&walk)) {
			skip_value(&walk.cursor);
		}
	}
}

/* Stops behind the words of the statement asked for. */
static bool find_statement(const struct source *source, const char *name, int line,
			   struct walk *walk)
{
	int opened = 0;
	bool closed;

	*walk = (struct walk){.cursor = {source->text, 1}, .parent = SOURCE_ROOT};
	for (;;) {
		if (!next_statement(walk, &closed)) {
			if (!closed)
				return false;
			if (walk->parent != SOURCE_ROOT)
				walk->parent = source->blocks[walk->parent].parent;
			continue;
		}
		if (walk->name.line == line && is_word(&walk->name, name))
			return true;
		if (opens_block(walk))
			walk->parent = opened++;
		else if (has_value(walk))
			skip_value(&walk->cursor);
	}
}

static void forget_blocks(struct source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		free(source->blocks[i].name);
		free(source->blocks[i].title);
	}
	free(source->blocks);
	source->blocks = NULL;
	source->count = 0;
}

int source_open(struct source *source, const char *text)
{
	*source = (struct source){.text = strdup(text)};
	if (!source->text)
		return -ENOMEM;
	blank_comments(source->text);
	return scan_blocks(source);
}

void source_close(struct source *source)
{
	forget_blocks(source);
	free(source->text);
	source->text = NULL;
}

int source_block_find(const struct source *source, int parent, const char *name, size_t nth)
{
	for (size_t i = 0; i < source->count; i++)
		if (source->blocks[i].parent == parent && !strcmp(source->blocks[i].name, name) &&
		    nth-- == 0)
			return (int)i;
	return -1;
}

bool source_statement_find(const struct source *source, const char *name, int line, int *parent)
{
	struct walk walk;

	if (!find_statement(source, name, line, &walk))
		return false;
	*parent = walk.parent;
	return true;
}

bool source_statement_erase(struct source *source, const char *name, int line)
{
	struct walk walk;

	if (!find_statement(source, name, line, &walk))
		return false;
	if (opens_block(&walk))
		skip_block(&walk.cursor);
	else if (has_value(&walk))
		skip_value(&walk.cursor);
	blank(source->text + (walk.name.start - source->text), walk.cursor.at);
	forget_blocks(source);
	return scan_blocks(source) == 0;
}

const char *source_block_label(const struct source *source, int block, char *buffer, size_t size)
{
	const struct source_block *found;
	char outer[128];

	if (block == SOURCE_ROOT || size == 0) {
		if (size)
			*buffer = '\0';
		return buffer;
	}
	found = &source->blocks[block];
	source_block_label(source, found->parent, outer, sizeof(outer));
	if (found->title)
		snprintf(buffer, size, "%s%s %s: ", outer, found->name, found->title);
	else if (found->parent == SOURCE_ROOT)
		snprintf(buffer, size, "%s: ", found->name);
	else
		snprintf(buffer, size, "%s%s.", outer, found->name);
	return buffer;
}

const char *source_block_name(const struct source *source, int block, char *buffer, size_t size)
{
	size_t length = strlen(source_block_label(source, block, buffer, size));

	if (length && buffer[length - 1] == '.')
		snprintf(buffer + length - 1, size - length + 1, ": ");
	return buffer;
}
