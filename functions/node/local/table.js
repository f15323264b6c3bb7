// The table as functions/aws/template.yaml has it; for tests and local servers.

import { CreateTableCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb';

export async function createTable(client, TableName) {
  const schema = (hash) => [{ AttributeName: hash, KeyType: 'HASH' }, { AttributeName: 'key', KeyType: 'RANGE' }];
  const index = (name, ProjectionType) => ({ IndexName: `by_${name}`, Projection: { ProjectionType }, KeySchema: schema(name) });
  await client.send(new CreateTableCommand({
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['source', 'key', 'bucket', 'pending'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: schema('source'),
    GlobalSecondaryIndexes: [index('bucket', 'ALL'), index('pending', 'KEYS_ONLY')],
  }));
  await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName });
}
