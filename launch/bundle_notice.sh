# shellcheck shell=bash
# Sourced by bundle.sh, whose BUILD, TORCH, NOTICE_OF_OTHERS and SYSTEM it uses: NOTICE, which says of everything in a
# bundle what package it is of, its version, licence and the package's own text of it.

# Their headers' licences ask nothing of programs that were compiled with them.
readonly TOOLCHAIN='^(libc6-dev|linux-libc-dev|libstdc\+\+-[0-9]+-dev|libgcc-[0-9]+-dev)$'

# "PATH<tab>DIST-INFO" for each library of the wheels beside torch, by their lists of files.
wheel_files() {
  local site record
  site="$(realpath "$TORCH/../..")"
  for record in "$site"/*.dist-info/RECORD; do
    sed -nE "s|^([^,\"]*\.so[^,\"]*),.*|$site/\1\t${record%/RECORD}|p" "$record"
  done
}

# "PATH<tab>PACKAGE" for each of the files that a Debian package knows. Its lists name a file by /lib or by /usr/lib, which
# are one folder: paths are without /usr here.
debian_files() { # FILE...
  command -v dpkg-query >/dev/null || return 0
  { realpath "$@"; realpath "$@" | sed 's|^/usr||'; realpath "$@" | sed 's|^|/usr|'; } | sort -u \
    | { xargs dpkg-query -S 2>/dev/null || true; } | sed -nE 's|^([^:, ]+)[^/]*: (/usr)?(/.*)|\3\t\1|p'
}

# "debian PACKAGE", "wheel DIST-INFO" or nothing, for file $1 and the lists $2 of wheel_files, $3 of debian_files.
origin_of() {
  local path found candidate
  path="$(realpath "$1")"
  found="$(awk -F '\t' -v path="$path" '$1 == path {print $2; exit}' "$2")"
  if [[ -z "$found" ]]; then  # the toolkit's copy of a library that the wheel has too
    while IFS=$'\t' read -r candidate found; do
      cmp -s "$candidate" "$path" && break
      found=""
    done < <(awk -F '\t' -v name="/$(basename "$1")" 'substr($1, length($1) - length(name) + 1) == name' "$2")
  fi
  if [[ -n "$found" ]]; then
    printf 'wheel %s\n' "$found"
  else
    awk -F '\t' -v path="${path#/usr}" '$1 == path {print "debian " $2; exit}' "$3"
  fi
}

# The packages whose headers went into the programs, as the build's own record of what each object was made of has them.
header_packages() {
  command -v dpkg-query >/dev/null || return 0
  local ninja
  ninja="$(sed -n 's/^CMAKE_MAKE_PROGRAM:FILEPATH=//p' "$BUILD/CMakeCache.txt")"
  "$ninja" -C "$BUILD" -t deps \
    | awk '/^[^ ]/ {is_ours = $1 !~ /^tests\//} is_ours && $1 ~ /^\/usr\/include\// {print $1}' | sort -u \
    | xargs -r dpkg-query -S 2>/dev/null | cut -d : -f 1 | tr -d ' ' | tr , '\n' | sort -u | grep -vE "$TOOLCHAIN" || true
}

# Name, version and licence of an origin, a line each; of Debian's copyright files those that say it for programs.
about() { # KIND WHICH
  if [[ "$1" == wheel ]]; then
    sed -nE 's/^(Name|Version): //p' "$2/METADATA" | head -n 2
    sed -nE 's/^License(-Expression)?: //p' "$2/METADATA" | head -n 1 | grep . || echo "see its text"
  else
    # shellcheck disable=SC2016  # dpkg-query's own
    dpkg-query -W -f '${Package}\n${Version}\n' "$2" | head -n 2
    sed -nE 's/^License:[[:space:]]*(.+)/\1/p' "/usr/share/doc/$2/copyright" | awk '!seen[$0]++' | paste -sd ';' \
      | sed 's/;/; /g' | grep . || echo "see its text"
  fi
}

texts_of() { # KIND WHICH: its licence, a file or several
  if [[ "$1" == debian ]]; then
    printf '%s\n' "/usr/share/doc/$2/copyright"
  elif [[ -d "$2/licenses" ]]; then
    find "$2/licenses" -type f | sort
  else
    find "$2" -maxdepth 1 -type f \( -iname 'licen*' -o -iname 'notice*' -o -iname 'copying*' \) | sort
  fi
}

# Writes $1 about the files that follow. Fails on one that no package knows, unless --notice says something of it.
write_notice() { # NOTICE FILE...
  local notice="$1" lists file origin kind which text rule name version licence sum unknown=()
  local -A files=() printed=()
  shift
  lists="$(mktemp -d)"
  wheel_files >"$lists/wheels"
  debian_files "$@" >"$lists/debian"
  for file in "$@"; do
    origin="$(origin_of "$file" "$lists/wheels" "$lists/debian")"
    if [[ -z "$origin" ]]; then
      unknown+=("$(basename "$file")")
    fi
    files["${origin:-other}"]+=" $(basename "$file")"
  done
  rm -r "$lists"
  for name in "${unknown[@]}"; do
    { [[ -n "$NOTICE_OF_OTHERS" ]] && grep -qF "$name" "$NOTICE_OF_OTHERS"; } \
      || die "no package here knows where $name is from: name it, and its licence, in a file for --notice"
  done
  for which in $(header_packages); do
    files["debian $which"]+=" (compiled into the programs)"
  done
  rule="$(printf '=%.0s' {1..78})"
  {
    printf 'This folder holds XTasC, under the Apache License 2.0 (LICENSE), and files of the packages below, each\n'
    printf 'with its version, the licences that the package names (some may be of files of its source that are not\n'
    printf 'here) and the text that it brings.\n'
    for origin in "${!files[@]}"; do printf '%s\n' "$origin"; done | sort | while read -r kind which; do
      [[ "$kind" != other ]] || continue
      { read -r name; read -r version; read -r licence; } < <(about "$kind" "$which")
      printf '\n%s\n%s %s (%s package)\nLicence: %s\n' "$rule" "$name" "$version" \
        "$([[ "$kind" == wheel ]] && echo "a Python" || echo "a Debian")" "$licence"
      fold -sw 78 <<<"Files:${files[$kind $which]}"
      if [[ -z "$(texts_of "$kind" "$which")" ]]; then
        printf '\nThe package brings no text of its licence. Its home: %s\n' \
          "$(sed -nE 's/^Home-page: //p' "$which/METADATA")"
      fi
      while read -r text; do
        sum="$(md5sum <"$text")"
        if [[ -n "${printed[$sum]:-}" ]]; then
          printf '\nIts text is that of %s above.\n' "${printed[$sum]}"
        else
          printf '\n'
          cat "$text"
          printed["$sum"]="$name"
        fi
      done < <(texts_of "$kind" "$which")
    done
    if ((${#unknown[@]})); then
      printf '\n%s\nOthers:%s\n\n' "$rule" "${files[other]}"
      cat "$NOTICE_OF_OTHERS"
    fi
  } >"$notice"
  # Debian's texts refer to these instead of repeating them.
  grep -ohE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$notice" | sort -u | while read -r text; do
    [[ -f "$text" ]] || continue
    printf '\n%s\n%s\n\n' "$rule" "$text"
    cat "$text"
  done >"$notice.common"
  cat "$notice.common" >>"$notice"
  rm "$notice.common"
}
