<?php
// Every webhook, with PHP 8 alone. Each pull acks what the one before brought; what is not acked comes again.
//
//   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN
//   php examples/consume.php orders
$url = getenv('RESTANTE_URL') . "/consumers/$argv[1]/pull";
$basic = 'Authorization: Basic ' . base64_encode(getenv('RESTANTE_AUTH'));

function handle(array $item): void // your work; an exception = it comes again
{
    echo $item['id'], ' ', $item['content'], "\n";
}

for ($ack = []; ; ) {
    $http = ['method' => 'POST', 'timeout' => 90, 'header' => [$basic, 'Content-Type: application/json']];
    $http['content'] = json_encode(['limit' => 20, 'wait' => 50] + $ack);
    $answer = @file_get_contents($url, false, stream_context_create(['http' => $http]));
    $pulled = json_decode((string) $answer, true);
    if (!isset($pulled['items'])) {
        fwrite(STDERR, (error_get_last()['message'] ?? 'no answer') . "\n");
        sleep(5);
        continue;
    }
    $ids = [];
    foreach ($pulled['items'] as $item) {
        try {
            handle($item);
            $ids[] = $item['id'];
        } catch (Throwable $error) {
            fwrite(STDERR, "$error\n");
        }
    }
    $ack = $ids ? ['ack' => ['lease' => $pulled['lease'], 'ids' => $ids]] : [];
}
