# How Basalt compiles Go programs.
#
# A Go package here is a wrapper module: go.mod and go.sum beside the spec pin the program and every module it is
# built with, and their contents are mounted read-only below SOURCES before the build starts. Nothing is fetched,
# and no other Go release is looked for: what go.sum does not list cannot get in.
#
#   %global go_tags   netgo,no_zfs                  build tags, optional
#   %global go_stamp  -X example.org/version.V=v1   what the linker writes into variables, optional
#   %prep
#   %goprep                            a build folder with the wrapper module in it
#   %build
#   %gobuild import/path another/path  programs, into bin/ below the build folder
#   %gobuild -o name import/path       one program under another name
#   %install
#   %goinstall name [folder]           bin/name, to /usr/bin or another folder
#
# Programs are static and free of cgo unless the spec says `%%global go_cgo 1`; then C is compiled and linked by the
# cross toolchain against the sysroot, and the result is a PIE like every C program.

%go_root                /usr/lib/go-1.27
%go_cgo                 0
%go_target_x86_64       amd64
%go_target_aarch64      arm64
%go_target              %{expand:%%{go_target_%{_target_cpu}}}
# The oldest machine a node has to run on: x86-64-v2, ARMv8.0 with the large system extensions left out.
%go_level_x86_64        GOAMD64=v2
%go_level_aarch64       GOARM64=v8.0
%go_level               %{expand:%%{go_level_%{_target_cpu}}}
# Unpacked modules of this package, by the names of the module cache.
%go_modcache            %{_sourcedir}/gomodcache

# -s -w leaves out symbol and DWARF tables (the function table that stack traces need stays); the build id is a
# digest of the compiler's inputs, which the package's own digest already says.
%go_ldflags             -s -w -buildid=

# Nobody could read the DWARF tables that the compiler makes: the linker leaves them out (-w). Without them a compilation takes
# a tenth less processor time.
%go_compile             -gcflags=all=-dwarf=false

# Compiled packages, for this build only. It begins with those of the standard library, where the spec asks for golang-std.
%go_cache               %{_builddir}/.gocache
%go_std                 %{basalt_cross}/share/golang-std

# The path of one module's unpacked source: %%{gomodule github.com/flannel-io/flannel@v0.28.10}
%gomodule()             %{go_modcache}/%{1}

%go_env \
  export PATH=%{go_root}/bin:$PATH \
  export GOOS=linux GOARCH=%{go_target} %{go_level} CGO_ENABLED=%{go_cgo} \
  export GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off GOTELEMETRY=off GOWORK=off GOENV=off \
  export GOMODCACHE=%{go_modcache} GOCACHE=%{go_cache} GOTMPDIR=%{_builddir} \
  if [ -d %{go_std} ] && [ ! -e %{go_cache} ]; then cp -r %{go_std} %{go_cache}; date +%%s >%{go_cache}/trim.txt; fi \
  export GOFLAGS="-mod=readonly -trimpath -buildvcs=false -p=%{?_smp_build_ncpus}%{!?_smp_build_ncpus:2}" \
%if %{go_cgo} \
  export CC=%{_host}-gcc CXX=%{_host}-g++ CGO_CFLAGS="%{build_cflags}" CGO_LDFLAGS="%{?build_ldflags}" \
  export PKG_CONFIG_SYSROOT_DIR=/sysroot PKG_CONFIG_LIBDIR=/sysroot/usr/lib/pkgconfig:/sysroot/usr/share/pkgconfig \
%endif \
%{nil}

%goprep \
%setup -q -c -T \
for file in %{_sourcedir}/go.mod %{_sourcedir}/go.sum %{_sourcedir}/*.go; do \
  if [ -e $file ]; then cp -p $file .; fi \
done \
%{nil}

%gobuild(o:) \
%{go_env} \
go build -o bin/%{-o*} %{go_compile} %{go_buildmode} %{?go_tags:-tags=%{go_tags}} -ldflags="%{go_ldflags} %{?go_stamp}" %{*} \
%{nil}

%go_buildmode           %[0%{go_cgo} ? "-buildmode=pie" : ""]

%goinstall() \
install -D -m 0755 bin/%{1} %{buildroot}%{?2}%{!?2:%{_bindir}}/%{1} \
%{nil}
