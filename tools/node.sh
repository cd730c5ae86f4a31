# Sourced by the scripts beside it: whether the Node is here that the dashboard needs, as `engines` of its package says.

# node_problem: prints what is wrong; nothing when a Node that is new enough and npm are here.
node_problem() {
    needed="it needs npm and Node 20.19, 22.12, or 24 and newer"
    if ! { command -v node && command -v npm; } >/dev/null; then
        echo "$needed, and none is here"
        return
    fi
    found=$(node --version 2>/dev/null) || found="a node that does not start"
    major=${found#v}
    minor=${major#*.}
    major=${major%%.*}
    minor=${minor%%.*}
    case $major$minor in
        *[!0-9]*) ;;
        *)
            if [ "$major" -ge 24 ] || { [ "$major" -eq 22 ] && [ "$minor" -ge 12 ]; } || { [ "$major" -eq 20 ] && [ "$minor" -ge 19 ]; }; then
                return
            fi
            ;;
    esac
    echo "$needed, and here is $found ($(command -v node))"
}
