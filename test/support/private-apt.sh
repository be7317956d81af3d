# Sourced: packages of any Debian release, by an apt that knows nothing of this system and needs no root.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror this system uses for its own release, whatever form its list of sources has.
mirror() {
  local release
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets 'Created-By: Packages' --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' |
    awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }'
}

# attempt COMMAND... : up to three times.
attempt() {
  "$@" || { sleep 2; "$@"; } || { sleep 10; "$@"; }
}

# fetch SUITE DIRECTORY PACKAGE... : download the packages and all they depend on to DIRECTORY/cache/archives, from $source_url.
fetch() {
  local suite=$1 place=$2
  shift 2
  mkdir -p "$place"/{state/lists/partial,cache/archives/partial,none}
  : >"$place/status"
  local signed=
  [ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
  echo "deb $signed$source_url $suite main" >"$place/sources.list"
  local own=(
    -o Dir::State="$place/state" -o Dir::State::status="$place/status" -o Dir::Cache="$place/cache"
    -o Dir::Etc::sourcelist="$place/sources.list" -o Dir::Etc::sourceparts="$place/none"
    -o Dir::Etc::preferences="$place/none/preferences" -o Dir::Etc::preferencesparts="$place/none"
    -o APT::Sandbox::User="$(id -un)" -o APT::Update::Post-Invoke-Success::= -o Acquire::Languages=none -o Acquire::Retries=3
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Get::List-Cleanup=false
  )
  attempt apt-get -qq "${own[@]}" -o APT::Update::Error-Mode=any update
  attempt apt-get -qq "${own[@]}" --no-install-recommends --download-only -y install "$@" >/dev/null
}
