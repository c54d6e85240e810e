# SPDX-License-Identifier: BSD-2-Clause
#
# make                   build/floodwall and build/floodwalld
# make check-build       every test program as well
# make SANITIZE=1 …      the same with ASan and UBSan, in build/sanitize/
# make fuzz              every fuzz target for FUZZ_SECONDS (60) each, from its corpus
# make install DESTDIR= PREFIX=/usr      and make uninstall, which leaves the configuration
#
# Sources are found by folder: a new file needs no line here.

PREFIX  ?= /usr
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
V       ?= 0
ifeq ($(origin CC),default)
CC := gcc
endif

LIBRARIES := libbpf libxdp libconfuse jansson libmicrohttpd libcap-ng libseccomp libsystemd libssl libcrypto libnghttp2 libcares
BUILD     := build$(if $(filter 1,$(SANITIZE)),/sanitize)$(if $(filter 1,$(FUZZER)),/fuzz)

WARN     := -Wall -Wextra -Wshadow -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS   ?= -O2 -g
ALLFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -Ibpf -Iuserspace -I$(BUILD)/gen $(shell pkg-config --cflags $(LIBRARIES)) \
            -fstack-protector-strong -fPIE -MMD -MP
LDLIBS   := $(shell pkg-config --libs $(LIBRARIES)) -lpthread -lm
LDFLAGS  += -pie -Wl,-z,relro,-z,now
ifeq ($(SANITIZE),1)
ALLFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS  += -fsanitize=address,undefined
else ifeq ($(FUZZER),1)
CC       := $(CLANG)
ALLFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS  += -fsanitize=address,undefined
else
ALLFLAGS += -D_FORTIFY_SOURCE=2
endif

ifeq ($(V),1)
say :=
else
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

# --- the house -----------------------------------------------------------------------------------

find_c    = $(sort $(shell find $(1) -name '*.c' -not -name '*.bpf.c' 2>/dev/null))
object    = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

BPF       := $(sort $(wildcard bpf/*.bpf.c))
LAB_BPF   := $(sort $(wildcard tests/lab/*.bpf.c tests/bench/*.bpf.c tests/packet/*.bpf.c))
SKELETONS := $(patsubst %.bpf.c,$(BUILD)/gen/%.skel.h,$(notdir $(BPF) $(LAB_BPF)))
COMMON    := $(call find_c,userspace/base userspace/contract userspace/config userspace/wall)
DAEMON    := $(call find_c,userspace/supervisor userspace/warden userspace/proxy)
CLI       := $(call find_c,tools)
UNIT      := $(call find_c,tests/unit)
PACKET    := $(filter-out tests/packet/common/%,$(call find_c,tests/packet))
PACKET_LIB := $(call find_c,tests/packet/common)
FUZZ      := $(filter-out tests/fuzz/common/%,$(call find_c,tests/fuzz))
# A program of the lab or the bench is one file with a main; what they share is in common/.
LAB       := $(filter-out tests/lab/common/% tests/bench/common/%,$(call find_c,tests/lab tests/bench))
LAB_LIB   := $(call find_c,tests/lab/common tests/bench/common)

PROGRAMS  := $(BUILD)/floodwall $(BUILD)/floodwalld
TESTS     := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT) $(PACKET) $(FUZZ) $(LAB))

all: $(PROGRAMS)
check-build: all $(TESTS)
.PHONY: all check-build clean install uninstall fuzz fuzz-run
.SECONDARY:
.DELETE_ON_ERROR:

# --- in the kernel -------------------------------------------------------------------------------

BPF_FLAGS := -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -Ibpf \
             -I/usr/include/$(shell uname -m)-linux-gnu -D__TARGET_ARCH_$(subst x86_64,x86,$(shell uname -m))

$(BUILD)/bpf/%.o: %.c
	@mkdir -p $(@D)
	$(call say,BPF,$<) $(CLANG) $(BPF_FLAGS) -MMD -MP -MF $@.d -MT $@ -c $< -o $@

vpath %.bpf.c bpf tests/lab tests/bench tests/packet
$(BUILD)/bpf/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$<) $(CLANG) $(BPF_FLAGS) -MMD -MP -MF $@.d -MT $@ -c $< -o $@

$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@) $(BPFTOOL) gen skeleton $< name $(subst .,_,$*)_bpf > $@

# The contract's fingerprint: enums, structs and maps, but no comment, no text, nothing of the machine's own headers.
CONTRACT := bpf/floodwall.h bpf/listing.h bpf/hash.h bpf/outcast.h bpf/maps.h bpf/verdicts.def bpf/settings.def bpf/metrics.def
$(BUILD)/gen/layout.h: $(CONTRACT)
	@mkdir -p $(@D)
	$(call say,LAYOUT,$@) hash=$$($(CC) -E -P -DFW_LAYOUT_ONLY bpf/maps.h | tr -d '[:space:]' | sha256sum | cut -c1-16) && \
		printf '#define FW_LAYOUT 0x%sULL\n' "$$hash" > $@

GENERATED := $(SKELETONS) $(BUILD)/gen/layout.h

# --- in user space -------------------------------------------------------------------------------

$(BUILD)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(CPPFLAGS) $(ALLFLAGS) $(CFLAGS) -c $< -o $@

# Everything but main, so that each program and each test takes what it calls.
$(BUILD)/libcommon.a: $(call object,$(COMMON))
$(BUILD)/libdaemon.a: $(call object,$(DAEMON))
$(BUILD)/liblab.a: $(call object,$(LAB_LIB))
$(BUILD)/libpacket.a: $(call object,$(PACKET_LIB))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@) rm -f $@ && $(AR) rcs $@ $^

link = $(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o %.a,$^) $(LDLIBS) $(1) -o $@

$(BUILD)/floodwall: $(call object,$(CLI)) $(BUILD)/libcommon.a
	$(call link)
$(BUILD)/floodwalld: $(call object,userspace/main.c) $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	$(call link)
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call link,-lcmocka)
$(BUILD)/tests/packet/%: $(BUILD)/obj/tests/packet/%.o $(BUILD)/libpacket.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call link,-lcmocka)
$(BUILD)/tests/lab/%: $(BUILD)/obj/tests/lab/%.o $(BUILD)/liblab.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call link)
$(BUILD)/tests/bench/parser: LDLIBS += -lhttp_parser
$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/liblab.a $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call link)
# A fuzz target has no main: built as usual it gets one that replays files, with FUZZER=1 libFuzzer's.
$(BUILD)/tests/fuzz/fuzz_http_plain: $(BUILD)/obj/tests/fuzz/common/http_plain.o
$(BUILD)/tests/fuzz/fuzz_http2 $(BUILD)/tests/fuzz/fuzz_upstream_http2: $(BUILD)/obj/tests/fuzz/common/lone_worker.o
$(BUILD)/tests/fuzz/fuzz_http2 $(BUILD)/tests/fuzz/fuzz_upstream_http2: LDLIBS := $(BUILD)/libdaemon.a $(BUILD)/libcommon.a $(LDLIBS)
$(BUILD)/tests/fuzz/fuzz_http_other $(BUILD)/tests/fuzz/fuzz_http_stream: $(BUILD)/obj/tests/fuzz/common/http_other.o
$(BUILD)/tests/fuzz/fuzz_http_other $(BUILD)/tests/fuzz/fuzz_http_stream: LDLIBS += -lhttp_parser
FUZZ_MAIN := $(if $(filter 1,$(FUZZER)),,$(BUILD)/obj/tests/fuzz/common/replay.o)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_MAIN) $(BUILD)/libdaemon.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call link,$(if $(FUZZ_MAIN),,-fsanitize=fuzzer))

# New finds go to the build folder; tests/fuzz/corpus is what the tests replay.
FUZZ_SECONDS ?= 60
fuzz:
	@$(MAKE) --no-print-directory FUZZER=1 fuzz-run
fuzz-run: $(patsubst tests/%.c,$(BUILD)/tests/%,$(FUZZ))
	@set -e; for target in $^; do name=$$(basename $$target); mkdir -p $(BUILD)/found/$$name; \
		dictionary=tests/fuzz/corpus/$$name.dict; \
		$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=5 -print_final_stats=1 \
			-artifact_prefix=$(BUILD)/found/ $$([ ! -e $$dictionary ] || echo -dict=$$dictionary) \
			$(BUILD)/found/$$name tests/fuzz/corpus/$$name; done

# --- elsewhere -----------------------------------------------------------------------------------

DOCUMENTS   := $(PREFIX)/share/doc/floodwall
COMPLETIONS := $(PREFIX)/share/bash-completion/completions

install: all # an existing configuration is left alone
	install -d $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in floodwall floodwalld; do sed 's|@SBIN@|$(PREFIX)/sbin|' packaging/$$unit.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service; done
	install -d $(DESTDIR)/etc/floodwall
	[ -e $(DESTDIR)/etc/floodwall/floodwall.conf ] || \
		install -m 644 packaging/floodwall.conf $(DESTDIR)/etc/floodwall/floodwall.conf
	install -d $(DESTDIR)$(DOCUMENTS)/docs $(DESTDIR)$(COMPLETIONS)
	install -m 644 README.md CHANGELOG.md LICENSE packaging/floodwalld.socket $(DESTDIR)$(DOCUMENTS)/
	install -m 644 docs/*.md $(DESTDIR)$(DOCUMENTS)/docs/
	$(BUILD)/floodwall completion bash > $(DESTDIR)$(COMPLETIONS)/floodwall

uninstall: # all that install has put there, but the configuration
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,$(notdir $(PROGRAMS))) $(DESTDIR)$(COMPLETIONS)/floodwall
	rm -f $(foreach unit,floodwall floodwalld,$(DESTDIR)$(PREFIX)/lib/systemd/system/$(unit).service)
	rm -rf $(DESTDIR)$(DOCUMENTS)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
