#!/bin/sh
# A Request Tracker 5 on loopback, for tests.
#
#   rt5.sh template DIR         make a seeded database in DIR
#   rt5.sh prepare  TPL DIR PORT  copy the template TPL for one server
#   rt5.sh serve    DIR PORT    run that server in the foreground
#
# Every server has a folder of its own: database, log, and outgoing mail as
# files in DIR/mail. The packages are installed by tools/peers.sh.
set -eu

# configure DIR PORT writes the site's configuration. The password cost is the
# lowest, because RT pays it again on every request.
configure() {
  mkdir -p "$1/db" "$1/log" "$1/mail"
  printf '#!/bin/sh\nexec cat > "%s/mail/$(date +%%s%%N)-$$.eml"\n' "$1" > "$1/sendmail"
  chmod 755 "$1/sendmail"
  cat > "$1/RT_SiteConfig.pm" <<PERL
Set(\$rtname, 'rt.test');
Set(\$Organization, 'rt.test');
Set(\$Timezone, 'UTC');
Set(\$DatabaseType, 'SQLite');
Set(\$DatabaseName, '$1/db/rt.sqlite');
Set(\$DatabaseUser, undef);
Set(\$DatabasePassword, undef);
Set(\$WebDomain, '127.0.0.1');
Set(\$WebPort, $2);
Set(\$WebPath, '');
Set(\$CorrespondAddress, 'rt\@rt.test');
Set(\$CommentAddress, 'rt-comment\@rt.test');
Set(\$MailCommand, 'sendmailpipe');
Set(\$SendmailPath, '$1/sendmail');
Set(\$LogToSyslog, undef);
Set(\$LogToSTDERR, 'warning');
Set(\$LogDir, '$1/log');
Set(\$BcryptCost, 4);
1;
PERL
}

site() {
  export RT_SITE_CONFIG="$1/RT_SiteConfig.pm" RT_SITE_CONFIG_DIR=/dev/null
}

# seed FILE writes what the tests expect to find: the queue Incidents with our
# fields, the queue Plain without them, the service user tocsin and two people.
seed() {
  cat > "$1" <<'PERL'
our @Queues = (
  { Name => 'Incidents', Description => 'raised by tocsin', CorrespondAddress => 'incidents@rt.test' },
  { Name => 'Plain', Description => 'has no fields of tocsin' },
);
our @Users = map { { Name => $_->[0], RealName => $_->[1], EmailAddress => "$_->[0]\@rt.test",
                     Password => "$_->[0]-secret", Privileged => 1 } }
  (['tocsin', 'Tocsin'], ['ada', 'Ada'], ['bo', 'Bo']);
our @CustomFields = (
  (map { { Name => $_, Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => 'Incidents' } }
    qw(TocsinKey TocsinVersion)),
  { Name => 'Severity', Type => 'SelectSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => 'Incidents',
    Values => [ map { { Name => $_ } } qw(critical warning info) ] },
  { Name => 'Resolution', Type => 'SelectSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => 'Incidents',
    Values => [ map { { Name => $_ } } 'Repaired', 'Nothing found', 'Planned work', 'Other' ] },
);
our @ACL = map { my $queue = $_; map {
    { GroupDomain => 'SystemInternal', GroupType => 'Privileged', Queue => $queue, Right => $_ } }
  qw(SeeQueue CreateTicket ShowTicket ShowTicketComments CommentOnTicket ReplyToTicket ModifyTicket
     OwnTicket ReassignTicket SeeCustomField ModifyCustomField) } qw(Incidents Plain);
push @ACL, { GroupDomain => 'SystemInternal', GroupType => 'Privileged', Right => 'ManageAuthTokens' };
our @Final = (sub {
  require RT::AuthToken;
  for my $name (qw(root tocsin ada bo)) {
    my $user = RT::CurrentUser->new; $user->Load($name);
    my ($id, $msg, $auth) = RT::AuthToken->new($user)->Create(Owner => $user->id, Description => 'tests');
    die "token $name: $msg" unless $id;
    open my $file, '>', "$ENV{RT_TOKENS}/token.$name" or die $!;
    print $file $auth; close $file;
  }
});
1;
PERL
}

template() {
  rm -rf "$1"
  configure "$1" 8080
  site "$1"
  setup=$(command -v rt-setup-database-5 || echo /usr/sbin/rt-setup-database-5)
  printf 'root-secret' > "$1/root.password"
  "$setup" --action init --root-password-file "$1/root.password" > "$1/init.log" 2>&1 || { cat "$1/init.log"; exit 1; }
  seed "$1/seed.pl"
  RT_TOKENS="$1" "$setup" --action insert --datafile "$1/seed.pl" > "$1/seed.log" 2>&1 || { cat "$1/seed.log"; exit 1; }
  for name in root tocsin ada bo; do
    [ -s "$1/token.$name" ] || { echo "no token for $name"; cat "$1/seed.log"; exit 1; }
  done
}

prepare() {
  configure "$2" "$3"
  cp "$1/db/rt.sqlite" "$2/db/rt.sqlite"
  cp "$1"/token.* "$2/"
}

serve() {
  site "$1"
  exec /usr/share/request-tracker5/libexec/rt-server --server Starlet --host 127.0.0.1 --port "$2" --max-workers 2
}

verb=${1:?one of template, prepare, serve}
shift
case $verb in
  template|prepare|serve) "$verb" "$@" ;;
  *) echo "unknown verb $verb" >&2; exit 2 ;;
esac
