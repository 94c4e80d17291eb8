<?php

declare(strict_types=1);

namespace Acme\Http;

use Psr\Log\LoggerInterface;

const TIMEOUT = 30;
define('ACME_DEBUG', false);

/**
 * Sends requests.
 */
#[Service]
final class Client extends Base implements ClientInterface
{
    use Retries;

    public const METHODS = ['GET', 'POST'];
    private ?LoggerInterface $logger = null;
    protected static int $count = 0;

    public function __construct(private readonly string $base)
    {
        self::$count++;
    }

    // Follows redirects.
    #[Pure]
    public function send(Request $request, int $timeout = TIMEOUT): Response
    {
        $handler = function (Request $r) use ($timeout) {
            return new Response($r, $timeout);
        };

        return $handler($request);
    }

    abstract protected function open(): void;
}

interface ClientInterface
{
    public function send(Request $request, int $timeout): Response;
}

trait Retries
{
    private int $attempts = 3;

    public function retry(callable $call): mixed
    {
        return $call($this->attempts);
    }
}

enum Method: string
{
    case Get = 'GET';
    case Post = 'POST';

    public static function of(string $name): self
    {
        return self::from(strtoupper($name));
    }
}

function request(string $url): Response
{
    return (new Client($url))->send(new Request($url));
}

if (!function_exists('dump')) {
    function dump($value): void
    {
        var_dump($value);
    }
}
?>
<html>
<body><?= request('/')->body ?></body>
</html>
